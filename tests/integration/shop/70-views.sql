-- What programs and people read.

CREATE VIEW catalogue.v_product AS
    SELECT p.id, p.name AS product, b.name AS brand, p.slug, p.active, p.tags, cardinality(p.tags) AS tag_count
      FROM catalogue.product p LEFT JOIN catalogue.brand b ON b.id = p.brand_id;
COMMENT ON VIEW catalogue.v_product IS 'For the search page';
COMMENT ON COLUMN catalogue.v_product.brand IS 'Null for our own';
GRANT SELECT ON catalogue.v_product TO shop_tenant_user, shop_clerk;

CREATE VIEW catalogue.v_product_price (product_id, variant_id, product, sku, price) AS
    SELECT p.id, v.id, p.product, v.sku, c.amount
      FROM catalogue.v_product p JOIN catalogue.product_variant v ON v.product_id = p.id
      LEFT JOIN catalogue.price c ON c.variant_id = v.id AND c.price_list_id = 1;
GRANT SELECT ON catalogue.v_product_price TO PUBLIC;

CREATE VIEW catalogue.v_public_product WITH (security_barrier) AS
    SELECT id, product, brand FROM catalogue.v_product WHERE active;
GRANT SELECT (product, brand) ON catalogue.v_public_product TO shop_tenant_user;

CREATE RECURSIVE VIEW catalogue.v_category_tree (id, depth, path) AS
    SELECT id, 1, ARRAY[name] FROM catalogue.category WHERE parent_id IS NULL
    UNION ALL
    SELECT c.id, t.depth + 1, t.path || c.name FROM catalogue.category c JOIN v_category_tree t ON c.parent_id = t.id;

CREATE VIEW catalogue.v_missing_translation AS
    SELECT p.id AS product_id, l.code AS language FROM catalogue.product p CROSS JOIN catalogue.language l
     WHERE NOT EXISTS (SELECT FROM catalogue.translation t
                        WHERE t.entity = 'product' AND t.entity_id = p.id AND t.language = l.code);

CREATE MATERIALIZED VIEW catalogue.supplier_summary AS
    SELECT s.id, s.name, count(*) AS products FROM catalogue.supplier s JOIN catalogue.supplier_product p ON p.supplier_id = s.id
     GROUP BY s.id;
CREATE UNIQUE INDEX supplier_summary_id ON catalogue.supplier_summary (id);
GRANT SELECT ON catalogue.supplier_summary TO shop_clerk;

CREATE VIEW crm.v_active_user AS
    SELECT u.id, u.tenant_id, u.email, u.name FROM crm.app_user u WHERE u.active
      WITH CASCADED CHECK OPTION;

CREATE VIEW crm.v_user_permission AS
    SELECT u.id AS user_id, u.email, r.name AS role, p.permission_code
      FROM crm.v_active_user u JOIN crm.user_role ur ON ur.user_id = u.id JOIN crm.role r ON r.id = ur.role_id
      JOIN crm.role_permission p ON p.role_id = r.id;

CREATE VIEW crm.v_customer WITH (security_barrier) AS
    SELECT id, tenant_id, email, name, phone, created_at FROM crm.customer WHERE tenant_id = crm.current_tenant();
GRANT SELECT, UPDATE (name, phone) ON crm.v_customer TO shop_tenant_user;

CREATE VIEW crm.v_loyalty AS
    SELECT a.tenant_id, a.customer_id, a.points, (SELECT sum(e.points) FROM crm.loyalty_entry e
            WHERE (e.tenant_id, e.customer_id) = (a.tenant_id, a.customer_id)) AS booked
      FROM crm.loyalty_account a;

CREATE VIEW crm.v_thread AS
    SELECT t.id, t.tenant_id, t.subject, m.sent_at, m.body AS last_message
      FROM crm.message_thread t LEFT JOIN LATERAL
           (SELECT * FROM (SELECT sent_at, body FROM crm.message WHERE thread_id = t.id ORDER BY sent_at DESC LIMIT 1) AS newest) AS m ON true;

CREATE VIEW sales.v_order AS
    SELECT o.id, o.tenant_id, o."number", o.status, o.placed_at, o.total, o."Remark", c.name AS "Customer", c.email
      FROM sales."order" o JOIN crm.customer c ON c.tenant_id = o.tenant_id AND c.id = o.customer_id;
GRANT SELECT ON sales.v_order TO shop_clerk, shop_warehouse;

CREATE VIEW sales.v_order_line AS
    SELECT i.order_id, i.line, v.sku, p.name AS product, i.quantity, i.unit_price, i.line_total
      FROM sales.order_item i JOIN catalogue.product_variant v ON v.id = i.variant_id JOIN catalogue.product p ON p.id = v.product_id;

CREATE VIEW sales.v_order_summary AS
    SELECT o.id, o."number", o.status, o."Customer", o.total, sum(l.line_total) AS of_lines, count(l.line) AS lines
      FROM sales.v_order o LEFT JOIN sales.v_order_line l ON l.order_id = o.id
     GROUP BY o.id, o."number", o.status, o."Customer", o.total;

CREATE VIEW sales.v_open_order AS
    SELECT id, tenant_id, "number", status, "Remark" FROM sales."order" WHERE status IN ('placed', 'paid')
      WITH LOCAL CHECK OPTION;
ALTER VIEW sales.v_open_order ALTER COLUMN "Remark" SET DEFAULT 'none';
GRANT SELECT, UPDATE ON sales.v_open_order TO shop_clerk;

CREATE VIEW sales.v_revenue AS
    SELECT date_trunc('month', p.paid_on::timestamp) AS month, o.tenant_id, sum(p.amount) AS revenue
      FROM sales.payment p JOIN sales."order" o ON o.id = p.order_id GROUP BY 1, 2;

-- Orders are entered through this one.
CREATE VIEW sales.v_order_entry AS
    SELECT o.id, o.tenant_id, o.customer_id, o."number", i.variant_id, i.quantity
      FROM sales."order" o JOIN sales.order_item i ON i.order_id = o.id AND i.line = 1;
GRANT SELECT, INSERT ON sales.v_order_entry TO shop_clerk;

-- The old program's name for it.
CREATE VIEW sales.v_legacy_note AS SELECT id AS note_no, body AS note_text, order_id FROM sales.order_note;
CREATE RULE change AS ON UPDATE TO sales.v_legacy_note
    DO INSTEAD UPDATE sales.order_note SET body = NEW.note_text WHERE id = OLD.note_no;
CREATE RULE remove AS ON DELETE TO sales.v_legacy_note DO INSTEAD DELETE FROM sales.order_note WHERE id = OLD.note_no;
GRANT SELECT, UPDATE, DELETE ON sales.v_legacy_note TO shop_clerk;

CREATE VIEW stock.v_available AS
    SELECT l.warehouse_id, w.name AS warehouse, l.variant_id, l.quantity FROM stock.level l JOIN stock.warehouse w ON w.id = l.warehouse_id;
ALTER VIEW stock.v_available OWNER TO shop_warehouse;
GRANT SELECT ON stock.level, stock.warehouse TO shop_warehouse;
GRANT SELECT ON stock.v_available TO shop_tenant_user, shop_reporting, CURRENT_USER;
CREATE VIEW stock.v_low AS SELECT variant_id, sum(quantity) AS quantity FROM stock.v_available GROUP BY variant_id HAVING sum(quantity) < 100;
CREATE VIEW stock.v_shipment AS
    SELECT s.id, s.tenant_id, o."number", c.name AS carrier, s.tracking
      FROM stock.shipment s JOIN sales."order" o ON o.id = s.order_id LEFT JOIN stock.carrier c ON c.id = s.carrier_id;
