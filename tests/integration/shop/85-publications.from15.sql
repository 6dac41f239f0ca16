CREATE PUBLICATION shop_accounts FOR TABLE
    sales.invoice ("number", order_id, amount) WHERE ("number" > 0),
    sales.refund (id, payment_id, amount),
    sales."order" (id, tenant_id, "number", total);
CREATE PUBLICATION shop_new_customers FOR TABLE crm.customer (id, tenant_id, name) WHERE (name !~ '^old ') WITH (publish = 'insert');
