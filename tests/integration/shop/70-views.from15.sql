CREATE VIEW crm.v_own_customer WITH (security_invoker, security_barrier) AS
    SELECT id, tenant_id, name, email FROM crm.customer;
GRANT SELECT ON crm.v_own_customer TO shop_tenant_user, shop_clerk;
