-- What programs call. Bodies in SQL (BEGIN ATOMIC) belong to their tables, those in PL/pgSQL go by names.

CREATE FUNCTION catalogue.product_name(product integer) RETURNS text LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p.name FROM catalogue.product p WHERE p.id = product;
END;
COMMENT ON FUNCTION catalogue.product_name IS 'For mails';

CREATE FUNCTION catalogue.categories_of(brand integer) RETURNS SETOF catalogue.category LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT DISTINCT c.* FROM catalogue.category c JOIN catalogue.product_category pc ON pc.category_id = c.id
      JOIN catalogue.product p ON p.id = pc.product_id WHERE p.brand_id = brand;
END;

CREATE FUNCTION catalogue.label(p catalogue.product_variant) RETURNS text LANGUAGE sql STABLE
    AS $$ SELECT p.sku || coalesce(' (' || p.color || ')', '') $$;

CREATE FUNCTION sales.order_total("order" integer) RETURNS numeric LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(sum(i.line_total), 0) FROM sales.order_item i WHERE i.order_id = order_total."order";
END;

CREATE FUNCTION crm.add_loyalty(tenant integer, customer integer, points integer) RETURNS void LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO crm.loyalty_account (tenant_id, customer_id) VALUES (tenant, customer) ON CONFLICT DO NOTHING;
    INSERT INTO crm.loyalty_entry (tenant_id, customer_id, points, reason) VALUES (tenant, customer, points, 'added');
END;

-- An order with its lines; stock goes down last, in the order of its rows, so that nobody waits for another in a ring.
CREATE FUNCTION sales.place_order(tenant integer, customer integer, variants integer[], quantities integer[],
                                  warehouse smallint)
    RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    placed sales."order".id%TYPE;
    address crm.customer_address.id%TYPE;
BEGIN
    SELECT a.id INTO address FROM crm.customer_address a WHERE a.customer_id = customer AND a.is_default;
    INSERT INTO sales."order" (tenant_id, customer_id, "number", address_id)
    VALUES (tenant, customer, 'N-' || nextval('sales.document_number'), address) RETURNING id INTO placed;
    INSERT INTO sales.order_item (tenant_id, order_id, line, variant_id, quantity, unit_price)
    SELECT tenant, placed, w.line, w.variant, w.quantity,
           coalesce((SELECT p.amount FROM catalogue.price p WHERE p.variant_id = w.variant AND p.price_list_id = 1
                      ORDER BY p.valid_from DESC LIMIT 1), 10)
      FROM unnest(variants, quantities) WITH ORDINALITY AS w (variant, quantity, line);
    INSERT INTO stock.movement (warehouse_id, variant_id, kind, quantity, cost_cents, reference)
    SELECT warehouse, variant, 'sale', -quantity, 0, 'order' FROM unnest(variants, quantities) AS w (variant, quantity);
    RETURN placed;
END $$;

CREATE FUNCTION sales.find_order(number_of text) RETURNS SETOF sales."order" LANGUAGE plpgsql STABLE AS $$
DECLARE
    found sales."order"%ROWTYPE;
BEGIN
    FOR found IN SELECT * FROM sales."order" WHERE "number" = number_of LOOP
        RETURN NEXT found;
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION sales.find_order TO shop_clerk WITH GRANT OPTION;

CREATE PROCEDURE stock.move(origin smallint, target smallint, variant integer, moved integer) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stock.movement (warehouse_id, variant_id, kind, quantity, cost_cents)
    VALUES (origin, variant, 'transfer', -moved, 0), (target, variant, 'transfer', moved, 0);
END $$;
