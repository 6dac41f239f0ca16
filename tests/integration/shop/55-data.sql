-- Rows: 12 tenants, 1200 customers, 300 products in 900 variants, 2400 orders of three lines. Loaded before the triggers
-- are there, with what they would have written.

INSERT INTO crm.tenant (id, slug, name, plan, max_users)
SELECT g, 'tenant-' || g, 'Tenant ' || g, (enum_range(NULL::crm.plan))[1 + g % 3], 10 * g FROM generate_series(1, 12) g;
INSERT INTO crm.tenant_setting (tenant_id, key, value)
SELECT t, key, to_jsonb(t) FROM generate_series(1, 12) t, unnest('{color,logo,mail,tax,hours}'::text[]) key;
INSERT INTO crm.app_user (tenant_id, email, name, active)
SELECT 1 + g % 12, 'user' || g || '@example.org', 'User ' || g, g % 5 > 0 FROM generate_series(1, 120) g;
INSERT INTO crm.role (name, rank) SELECT 'role ' || g, g FROM generate_series(1, 6) g;
INSERT INTO crm.permission (code, description)
SELECT 'permission-' || g, 'May do ' || g FROM generate_series(1, 30) g;
INSERT INTO crm.role_permission (role_id, permission_code, granted_on)
SELECT r, 'permission-' || p, '2024-01-01' FROM generate_series(1, 6) r, generate_series(1, 30) p WHERE p % r = 0;
INSERT INTO crm.user_role (user_id, role_id, granted_by)
SELECT u, 1 + u % 6, CASE WHEN u > 1 THEN 1 END FROM generate_series(1, 120) u;
INSERT INTO crm.session (id, user_id, payload)
SELECT md5('session' || g)::uuid, 1 + g % 120, json_build_object('page', g) FROM generate_series(1, 500) g;

INSERT INTO crm.customer (id, tenant_id, email, name, phone, score, credit, birthday, tags, created_at)
SELECT g, 1 + g % 12, 'customer' || g || '@example.com', CASE WHEN g % 50 = 0 THEN 'old ' ELSE '' END || 'Customer ' || g,
       CASE WHEN g % 3 > 0 THEN '+49 ' || g END, g % 100, g % 500 / 4.0, '1960-01-01'::date + g % 15000,
       ARRAY['group ' || g % 7], '2024-01-01'::timestamptz + g * interval '1 hour'
  FROM generate_series(1, 1200) g;
INSERT INTO crm.customer_address (tenant_id, customer_id, street, zip, city, is_default)
SELECT 1 + g % 12, g, 'Street ' || g, lpad((g % 99999)::text, 5 - g % 2, '0'), 'City ' || g % 40, true FROM generate_series(1, 1200) g
 UNION ALL SELECT 1 + g % 12, g, 'Second street ' || g, NULL, 'City ' || g % 40, false FROM generate_series(1, 1200, 2) g;
INSERT INTO crm.consent (tenant_id, customer_id, purpose, given)
SELECT 1 + g % 12, g, purpose, g % 2 = 0 FROM generate_series(1, 800) g, unnest('{mail,profile}'::text[]) purpose;
INSERT INTO crm.message_thread (tenant_id, customer_id, subject)
SELECT 1 + g % 12, g, 'About ' || g FROM generate_series(1, 400) g;
INSERT INTO crm.message (thread_id, reply_to, body)
SELECT t, NULL, repeat('Question ' || t || '. ', 10) FROM generate_series(1, 400) t;
INSERT INTO crm.message (thread_id, reply_to, body)
SELECT t, t, CASE WHEN t % 40 = 0 THEN repeat(md5(t::text), 200) ELSE 'Answer ' || t END FROM generate_series(1, 400) t;
UPDATE crm.message_thread SET last_message_id = 400 + id;
INSERT INTO crm.loyalty_account (tenant_id, customer_id, points) SELECT 1 + g % 12, g, 30 FROM generate_series(1, 600) g;
INSERT INTO crm.loyalty_entry (tenant_id, customer_id, points, reason)
SELECT 1 + g % 12, g, p, 'welcome' FROM generate_series(1, 600) g, unnest('{10,20}'::integer[]) p;
INSERT INTO crm.notification (tenant_id, customer_id, text)
SELECT 1 + g % 12, g, 'Hello ' || g FROM generate_series(1, 600) g;
INSERT INTO crm.notification_read (tenant_id, notification_id, user_id, device)
SELECT tenant_id, id, 1 + id % 120, id FROM crm.notification WHERE id % 3 = 0;

INSERT INTO catalogue.currency (code, name, digits)
VALUES ('EUR', 'Euro', 2), ('USD', 'Dollar', 2), ('JPY', 'Yen', 0), ('CHF', 'Franc', 2), ('PLN', 'Zloty', 2);
INSERT INTO catalogue.language (code, name, fallback)
VALUES ('en', 'English', NULL), ('de', 'German', 'en'), ('fr', 'French', 'en'), ('de-at', 'Austrian', 'de'), ('pl', 'Polish', 'en');
INSERT INTO catalogue.campaign (name, during, budget)
SELECT 'Campaign ' || g, daterange('2024-01-01'::date + g * 10, '2024-01-01'::date + g * 10 + 5), g * 1000 FROM generate_series(1, 50) g;
INSERT INTO catalogue.brand (id, name, website, rank)
SELECT g, 'Brand ' || g, 'https://brand-' || g || '.example', g % 10 FROM generate_series(1, 40) g;
INSERT INTO catalogue.supplier (name, contact)
SELECT 'Supplier ' || g, jsonb_build_object('city', 'City ' || g) FROM generate_series(1, 20) g;
INSERT INTO catalogue.category (id, parent_id, name, position)
SELECT g, CASE WHEN g > 4 THEN g / 4 END, 'Category ' || g, g % 4 FROM generate_series(1, 60) g;
INSERT INTO catalogue.product (id, brand_id, name, slug, description, tags, properties, size, weight_g)
SELECT g, 1 + g % 40, 'Product ' || g, 'product-' || g, CASE WHEN g % 10 = 0 THEN repeat(md5(g::text), 120) ELSE 'Text ' || g END,
       ARRAY['tag ' || g % 9, 'tag ' || g % 4], jsonb_build_object('n', g, 'colors', g % 3), ROW(g, g % 50, 3)::catalogue.dimensions, 100 + g
  FROM generate_series(1, 300) g;
INSERT INTO catalogue.supplier_product (supplier_id, product_id, cost, preferred)
SELECT s, p, p + s / 4.0, s = 1 + p % 20 FROM generate_series(1, 20) s, generate_series(1, 300) p WHERE (s + p) % 6 = 0 OR s = 1 + p % 20;
INSERT INTO catalogue.product_variant (id, product_id, sku, barcode, color, stock_hint)
SELECT g, 1 + (g - 1) / 3, 'SKU-' || g, lpad(g::text, 13, '4'), (ARRAY['red', 'green', 'blue'])[1 + g % 3], g FROM generate_series(1, 900) g;
INSERT INTO catalogue.product_image (product_id, position, url, bytes, thumbnail)
SELECT p, i, 'https://images.example/' || p || '/' || i, p * 100, decode(md5(p::text), 'hex')
  FROM generate_series(1, 300) p, generate_series(1, 2) i;
INSERT INTO catalogue.product_category (product_id, category_id)
SELECT p, 1 + (p * c) % 60 FROM generate_series(1, 300) p, unnest('{1,7}'::integer[]) c ON CONFLICT DO NOTHING;
INSERT INTO catalogue.attribute (code, position) SELECT 'attribute-' || g, g FROM generate_series(1, 8) g;
INSERT INTO catalogue.attribute_value (attribute_id, value, sort)
SELECT a, 'value ' || v, v FROM generate_series(1, 8) a, generate_series(1, 10) v;
INSERT INTO catalogue.product_attribute (product_id, attribute_id, value)
SELECT p, a, 'value ' || 1 + (p + a) % 10 FROM generate_series(1, 300) p, generate_series(1, 8) a WHERE (p + a) % 3 = 0;
INSERT INTO catalogue.price_list (tenant_id, name) VALUES (NULL, 'Standard'), (NULL, 'Sale'), (1, 'Of tenant 1'), (2, 'Of tenant 2');
INSERT INTO catalogue.price (price_list_id, variant_id, amount)
SELECT l, v, v / (4.0 * l) + 1 FROM generate_series(1, 2) l, generate_series(1, 900) v;
INSERT INTO catalogue.translation (entity, entity_id, language, field, text)
SELECT 'product', p, language, 'name', 'Product ' || p || ' in ' || language
  FROM generate_series(1, 300) p, unnest('{de,fr,pl}'::text[]) language;
INSERT INTO crm.review (tenant_id, customer_id, product_id, rating, title, body)
SELECT 1 + g % 12, g, 1 + (g * 7) % 300, 1 + g % 5, 'Review ' || g, 'As I said ' || g FROM generate_series(1, 900) g;
INSERT INTO crm.review_vote (review_id, user_id)
SELECT r, u FROM generate_series(1, 900) r, generate_series(1, 120) u WHERE (r + u) % 60 = 0;

INSERT INTO stock.warehouse (id, code, name, place, capacity)
SELECT g, 'WH' || g, 'Warehouse ' || g, point(g, -g), 1000 * g FROM generate_series(1, 4) g;
INSERT INTO stock.movement (warehouse_id, variant_id, kind, quantity, cost_cents, reference)
SELECT w, v, 'receipt', 1000 + (w * v) % 17, v, 'opening' FROM generate_series(1, 4) w, generate_series(1, 900) v;
INSERT INTO stock.level (warehouse_id, variant_id, quantity)
SELECT warehouse_id, variant_id, sum(quantity) FROM stock.movement GROUP BY 1, 2;
INSERT INTO stock.carrier (id, name) SELECT g, 'Carrier ' || g FROM generate_series(1, 5) g;
INSERT INTO stock.purchase_order (supplier_id, warehouse_id, ordered_on)
SELECT 1 + g % 20, 1 + g % 4, '2024-01-01'::date + g FROM generate_series(1, 100) g;
INSERT INTO stock.purchase_order_line (purchase_order_id, line, variant_id, quantity, unit_cost)
SELECT p, l, 1 + (p * l) % 900, 10 * l, p / 4.0 FROM generate_series(1, 100) p, generate_series(1, 4) l;

INSERT INTO sales.cart (id, tenant_id, customer_id, payload)
SELECT md5('cart' || g)::uuid, 1 + g % 12, g, json_build_object('from', 'page ' || g) FROM generate_series(1, 600) g;
INSERT INTO sales.cart_item (cart_id, variant_id, quantity)
SELECT md5('cart' || g)::uuid, 1 + (g * i) % 900, i FROM generate_series(1, 600) g, generate_series(1, 2) i ON CONFLICT DO NOTHING;
INSERT INTO sales.coupon (tenant_id, code, discount)
SELECT t, 'COUPON-' || c, c FROM generate_series(1, 12) t, generate_series(1, 10) c;
INSERT INTO sales."order" (id, tenant_id, customer_id, "number", status, placed_at, address_id, "Remark")
SELECT g, 1 + c % 12, c, 'A-' || g, (enum_range(NULL::sales.order_status))[1 + g % 5],
       '2024-01-01'::timestamptz + g * interval '1 hour', c, CASE WHEN g % 9 = 0 THEN 'Leave it at the door' END
  FROM (SELECT g, 1 + (g * 7) % 1200 AS c FROM generate_series(1, 2400) g) AS o;
INSERT INTO sales.order_item (id, tenant_id, order_id, line, variant_id, quantity, unit_price)
SELECT (o.id - 1) * 3 + l, o.tenant_id, o.id, l, 1 + (o.id * l) % 900, 1 + o.id % 4, 1 + (o.id + l) % 100 / 4.0
  FROM sales."order" o, generate_series(1, 3) l;
UPDATE sales."order" o SET total = (SELECT sum(line_total) FROM sales.order_item i WHERE i.order_id = o.id);
INSERT INTO sales.order_status_history (order_id, status) SELECT id, status FROM sales."order" ORDER BY id;
INSERT INTO sales.order_note (order_id, body) SELECT g * 4, 'Note ' || g FROM generate_series(1, 600) g;
INSERT INTO sales.coupon_use (tenant_id, code, order_id)
SELECT tenant_id, 'COUPON-' || 1 + id % 10, id FROM sales."order" WHERE id % 6 = 0;
UPDATE sales.coupon c SET uses = (SELECT count(*) FROM sales.coupon_use u WHERE (u.tenant_id, u.code) = (c.tenant_id, c.code));
INSERT INTO sales.payment (id, paid_on, tenant_id, order_id, amount)
SELECT id, '2024-01-01'::date + id % 110, tenant_id, id, total FROM sales."order" WHERE id % 2 = 0;
INSERT INTO sales.refund (id, payment_id, paid_on, amount)
SELECT id / 2, id, paid_on, 1 FROM sales.payment WHERE id % 10 = 0;
INSERT INTO sales.invoice (id, order_id, amount, pdf)
SELECT id / 2, id, total, CASE WHEN id % 50 = 0 THEN decode(repeat(md5(id::text), 200), 'hex') END FROM sales."order" WHERE id % 2 = 0;
INSERT INTO sales.invoice_line (invoice_id, line, text, amount)
SELECT o.id / 2, i.line, 'Line ' || i.line, i.line_total FROM sales."order" o JOIN sales.order_item i ON i.order_id = o.id WHERE o.id % 2 = 0;
INSERT INTO sales.return_request (id, order_item_id, quantity, reason)
SELECT g, g * 9, 1, CASE WHEN g % 10 = 0 THEN 'x' ELSE 'Too small ' || g END FROM generate_series(1, 300) g;
INSERT INTO sales.page_view (tenant_id, id, seen_at, url)
SELECT 1 + g % 12, g, '2024-01-01'::timestamp + g * interval '3 hours', '/product-' || g % 300 FROM generate_series(1, 800) g;

INSERT INTO stock.shipment (tenant_id, order_id, carrier_id, tracking, weight_g)
SELECT tenant_id, id, 1 + id % 5, 'T' || id, id * 10 FROM sales."order" WHERE id % 4 = 0 ORDER BY id;
INSERT INTO stock.shipment_item (shipment_id, order_item_id, quantity)
SELECT s.id, i.id, i.quantity FROM stock.shipment s JOIN sales.order_item i USING (order_id)
 UNION ALL SELECT id, 1000000 + id, 1 FROM stock.shipment WHERE id % 100 = 0; -- of lines that the old system has removed

INSERT INTO audit.log (table_name, operation, row_key, after)
SELECT 'catalogue.product', 'I', jsonb_build_object('id', id), to_jsonb(p) FROM catalogue.product p;

SELECT setval(pg_get_serial_sequence(name, 'id'), 100000)
  FROM unnest(ARRAY['crm.tenant', 'crm.customer', 'catalogue.brand', 'catalogue.category', 'catalogue.product',
                    'catalogue.product_variant', 'sales."order"', 'sales.order_item', 'sales.payment', 'sales.refund',
                    'sales.invoice', 'sales.return_request', 'stock.warehouse', 'stock.carrier']) AS name
 WHERE name NOT IN ('stock.warehouse', 'stock.carrier');
SELECT setval(pg_get_serial_sequence(name, 'id'), 100) FROM unnest(ARRAY['stock.warehouse', 'stock.carrier']) AS name;
