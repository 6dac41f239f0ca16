"""Traffic in the shop (shop.py), with an oracle that can decide for every one of its tables.

Clerks, tenants' users under row-level security, reports and the owner work in processes of their own, through views,
rules, functions, triggers and cascades. Each writer works for tenants of its own, so that it knows what must be there:
it reads back what it has committed, looks for what no snapshot may show (a total that is not the sum of its lines), and
tries what must be refused (rows of another tenant, orphans, doubles), each with the SQLSTATE that is due. What is
shared (goods, stock, prices) is locked last and in one order, or with SKIP LOCKED. So no failed transaction is the
traffic's own doing: any deadlock, timeout or other error in a result is the fault of what else happens.

The oracle. A mirror that the traffic wrote would have to know what cascades and triggers did; one kept by triggers would
hang on the very tables that are replaced. So the server's own log is read, by a slot with test_decoding (History):
every committed change of whichever table had the name at that time, whoever made it. Added to what the table held when
the slot was made, these changes must give what the table holds now, row for row; and an audited table must have had one
entry in audit.log for each of them. So nothing is lost or invented by a copy, and no trigger fires twice or not at all.
A write that misses the table (into the original, after a swap) is not among its changes: those are found by the writers,
who do not see it, and by the invariants: foreign keys by anti-joins, totals, stock, points and uses by their sums.
"""

import datetime
import decimal
import json
import os
import pathlib
import random
import re
import sys

import psycopg2

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import load  # noqa: E402 (needs the path when run as a program)

LOCK_TIMEOUT = "5s"
TENANTS, PRODUCTS, VARIANTS, WAREHOUSES = 12, 300, 900, 4  # of shop/55-data.sql

WEIGHTS = {
    "place_order": 10, "enter_order": 4, "pay": 8, "ship": 5, "track": 3, "cancel": 4, "change_lines": 6, "give_back": 4,
    "new_customer": 5, "edit_customer": 5, "delete_customer": 1, "loyalty": 4, "correspond": 4, "consent": 2,
    "review": 4, "fill_cart": 5, "categories": 2, "edit_product": 6, "new_product": 2, "prices": 4, "codes": 1,
    "move_stock": 4, "purchase": 3, "people": 4, "notify": 3, "note": 3, "views": 10, "prepared": 10, "report": 2,
    "sums": 3, "probe": 6, "edit": 20,
}

# Small changes of a random row: (key, assignments, which rows). {r} is a random number. No column of a foreign key, so
# that nothing is waited for.
EDITS = {
    "audit.log": ("id", "severity = {r} % 5", "true"),
    "crm.tenant": ("id", "max_users = 10 + {r}, settings = '{{\"n\": {r}}}'", "true"),
    "crm.tenant_setting": ("tenant_id, key", "value = '{r}', version = version + 1", "true"),
    "crm.app_user": ("id", "login_count = login_count + 1, last_login = now()", "true"),
    "crm.role": ("id", "rank = {r} % 10", "true"),
    "crm.permission": ("code", "level = 1 + {r} % 5, description = 'Says {r}'", "true"),
    "crm.role_permission": ("role_id, permission_code", "granted_on = '2024-01-01'::date + {r}", "true"),
    "crm.user_role": ("user_id, role_id", "reason = 'because of {r}'", "true"),
    "crm.session": ("id", "payload = '{{\"page\": {r}}}'", "true"),
    "crm.session_archive": ("id", "ended_at = ended_at + interval '1 second'", "true"),
    "crm.customer": ("id", "score = {r}, credit = {r} / 4.0, tags = '{{a,b{r}}}'", "name !~ '^old '"),
    "crm.customer_address": ("id", "street = 'Street {r}', zip = '{r}', city = 'City {r}'", "true"),
    "crm.consent": ("id", "given = NOT given, revision = 1 + {r} % 100", "true"),
    "crm.message_thread": ("id", "priority = {r} % 9, subject = 'Subject {r}'", "true"),
    "crm.message": ("id", "body = repeat(md5('{r}'), 1 + {r} % 120)", "true"),
    "crm.review": ("id", "rating = 1 + {r} % 5, body = 'It was {r}'", "true"),
    "crm.review_vote": ("review_id, user_id", "value = {r} % 3 - 1", "true"),
    "crm.loyalty_account": ("tenant_id, customer_id", "tier = {r} % 5", "true"),
    "crm.loyalty_entry": ("id", "reason = 'reason {r}'", "true"),
    "crm.notification": ("tenant_id, id", "text = 'Text {r}', urgency = {r}", "true"),
    "crm.notification_read": ("tenant_id, notification_id, user_id", "device = {r}", "true"),
    "catalogue.currency": ("code", "digits = {r} % 4, name = 'Name {r}'", "true"),
    "catalogue.language": ("code", "position = {r} % 9", "true"),
    "catalogue.campaign": ("id", "budget = {r}", "true"),
    "catalogue.brand": ("id", "rank = {r} % 50, website = 'https://{r}.example'", "true"),
    "catalogue.supplier": ("id", "lead_days = {r} % 30, contact = '{{\"city\": \"C{r}\"}}'", "true"),
    "catalogue.category": ("id", "position = {r} % 20", "true"),
    "catalogue.product": ("id", "weight_g = 1 + {r}, tags = '{{t{r},x}}', size = '({r},2,3)'", "id <= 300"),
    "catalogue.supplier_product": ("supplier_id, product_id", "cost = {r} / 4.0", "true"),
    "catalogue.product_variant": ("id", "stock_hint = {r}, color = 'color {r}'", "true"),
    "catalogue.product_image": ("id", "bytes = {r}, thumbnail = decode(md5('{r}'), 'hex')", "true"),
    "catalogue.product_category": ("product_id, category_id", "category_id = category_id", "true"),
    "catalogue.attribute": ("id", "position = {r} % 30", "true"),
    "catalogue.attribute_value": ("attribute_id, value", "sort = {r}", "true"),
    "catalogue.product_attribute": ("product_id, attribute_id", "value = value", "true"),
    "catalogue.price_list": ("id", "priority = {r}", "true"),
    "catalogue.price": ("price_list_id, variant_id, valid_from", "amount = {r} / 4.0, min_quantity = 1 + {r} % 9", "true"),
    "catalogue.translation": ("language, entity, entity_id, field", "text = 'Text {r}', revision = revision + 1", "true"),
    "stock.warehouse": ("id", "capacity = {r}, place = point({r}, 1)", "true"),
    "stock.level": ("warehouse_id, variant_id", "reorder_point = {r}", "true"),
    "stock.movement": ("id", "cost_cents = {r}", "true"),
    "stock.carrier": ("id", "rank = {r} % 9", "true"),
    "stock.shipment": ("id", "weight_g = {r}", "true"),
    "stock.shipment_item": ("shipment_id, order_item_id", "quantity = 1 + {r} % 9", "true"),
    "stock.purchase_order": ("id", "revision = revision + 1, expected_in = '{r} days'", "true"),
    "stock.purchase_order_line": ("purchase_order_id, line", "received = least(quantity, {r})", "true"),
    "sales.cart": ("id", "payload = '{{\"from\": \"page {r}\"}}'", "true"),
    "sales.cart_item": ("cart_id, variant_id", "quantity = 1 + {r} % 9", "true"),
    "sales.coupon": ("tenant_id, code", "discount = {r} % 90", "{own}"),
    "sales.order": ("id", "priority = {r} % 9, \"Remark\" = 'Remark {r}'", "{own}"),
    "sales.order_item": ("id", "discount_ppm = {r}", "{own}"),
    "sales.order_status_history": ("id", "changed_at = changed_at + interval '1 ms'", "true"),
    "sales.order_note": ("id", "body = 'Note {r}'", "true"),
    "sales.coupon_use": ("tenant_id, code, order_id", "order_id = order_id", "{own}"),
    "sales.payment": ("id, paid_on", "attempts = {r} % 9", "true"),
    "sales.refund": ("id", "attempt = {r} % 9", "true"),
    "sales.invoice": ("id", "pages = 1 + {r} % 9", "true"),
    "sales.invoice_line": ("invoice_id, line", "text = 'Line {r}'", "true"),
    "sales.return_request": ("id", "quantity = 1 + {r} % 5", "length(reason) > 3"),
    "sales.page_view": ("tenant_id, id, seen_at", "url = '/page-{r}'", "true"),
}

# New rows, of this writer's tenant {t} and its customer {c}; {u} is a number that no other row has.
INSERTS = {
    "crm.tenant_setting": "(tenant_id, key, value) VALUES ({t}, 'key {u}', 'true')",
    "crm.session_archive": "(id, user_id) VALUES (gen_random_uuid(), {r})",
    "crm.role_permission": "(role_id, permission_code) VALUES (1 + {r} % 6, 'permission-7') ON CONFLICT DO NOTHING",
    "crm.customer_address": "(tenant_id, customer_id, street, city) VALUES ({t}, {c}, 'Street {u}', 'City')",
    "crm.loyalty_account": "(tenant_id, customer_id) VALUES ({t}, {c}) ON CONFLICT DO NOTHING",
    "catalogue.campaign": "(name, during) VALUES ('Of {u}', daterange('2100-01-01'::date + {u}, '2100-01-01'::date + {u} + 1))",
    "catalogue.brand": "(name) VALUES ('Brand {u}')",
    "catalogue.supplier": "(name) VALUES ('Supplier {u}')",
    "catalogue.product_category": "(product_id, category_id) VALUES (1 + {r} % 300, 1 + {r} % 60) ON CONFLICT DO NOTHING",
    "catalogue.attribute": "(code) VALUES ('attribute-{u}')",
    "catalogue.attribute_value": "(attribute_id, value) VALUES (1 + {r} % 8, 'value {u}')",
    "catalogue.product_attribute": "(product_id, attribute_id, value) VALUES (1 + {r} % 300, 1 + {r} % 8, 'value 3')"
                                   " ON CONFLICT DO NOTHING",
    "catalogue.price_list": "(tenant_id, name) VALUES ({t}, 'List {u}')",
    "catalogue.translation": "(entity, entity_id, language, field, text) VALUES ('brand', {u}, 'de', 'name', 'Marke {u}')",
    "sales.coupon": "(tenant_id, code, discount) VALUES ({t}, 'CODE-{u}', {r} % 50)",
    "sales.page_view": "(tenant_id, id, seen_at, url) VALUES ({t}, {u}, now(), '/page-{r}')",
}

# Tables of which an edit may also remove a row, for which nobody looks; and which rows.
REMOVALS = {"crm.session_archive": "true", "crm.tenant_setting": "key ~ '^key '", "catalogue.product_category": "true",
            "catalogue.attribute_value": "value ~ '^value .*0000'", "catalogue.translation": "entity = 'brand'",
            "catalogue.campaign": "name ~ '^Of '", "sales.coupon_use": "{own}", "sales.cart_item": "true",
            "crm.review_vote": "true", "crm.user_role": "granted_by = 1", "catalogue.product_attribute": "true",
            "sales.order_note": "true", "sales.page_view": "true", "crm.notification_read": "true"}

READS = (  # by reports, of views
    "SELECT * FROM catalogue.v_product WHERE id = %(product)s",
    "SELECT * FROM catalogue.v_product_price WHERE product_id = %(product)s",
    "SELECT count(*) FROM catalogue.v_category_tree",
    "SELECT count(*) FROM catalogue.v_missing_translation",
    "SELECT * FROM catalogue.supplier_summary WHERE id = 3",
    "SELECT count(*) FROM crm.v_user_permission",
    "SELECT * FROM crm.v_thread WHERE tenant_id = %(tenant)s LIMIT 5",
    "SELECT * FROM sales.v_order_line WHERE order_id = %(order)s",
    "SELECT * FROM sales.v_revenue WHERE tenant_id = %(tenant)s",
    "SELECT count(*) FROM stock.v_low",
    "SELECT * FROM sales.find_order('A-' || %(order)s)",
    "SELECT * FROM catalogue.categories_of(1 + %(product)s %% 40)",
    "SELECT * FROM stock.v_shipment WHERE tenant_id = %(tenant)s LIMIT 5",
)

PREPARED = {  # read by key, and kept by the session
    "an_order": ("SELECT * FROM sales.\"order\" WHERE id = $1", "order"),
    "a_customer": ("SELECT * FROM crm.customer WHERE id = $1", "customer"),
    "a_product": ("SELECT * FROM catalogue.product WHERE id = $1", "product"),
    "its_prices": ("SELECT * FROM catalogue.v_product_price WHERE product_id = $1", "product"),
    "its_stock": ("SELECT * FROM stock.level WHERE variant_id = $1", "product"),
    "its_texts": ("SELECT language, text FROM catalogue.translation WHERE entity_id = $1", "product"),
    "a_summary": ("SELECT * FROM sales.v_order_summary WHERE id = $1", "order"),
    "an_invoice": ("SELECT i.*, l.* FROM sales.invoice i JOIN sales.invoice_line l ON l.invoice_id = i.id"
                   " WHERE i.order_id = $1", "order"),
}

# What must be the case in any snapshot: a query that finds no row.
SUMS = {
    "points": "SELECT * FROM crm.v_loyalty WHERE points <> coalesce(booked, 0)",
    "totals": 'SELECT o.id FROM sales."order" o WHERE o.total <>'
              " (SELECT coalesce(sum(i.line_total), 0) FROM sales.order_item i WHERE i.order_id = o.id)",
    "stock": "SELECT * FROM stock.level l FULL JOIN (SELECT warehouse_id, variant_id, sum(quantity) AS moved"
             " FROM stock.movement GROUP BY 1, 2) AS m USING (warehouse_id, variant_id)"
             " WHERE l.quantity IS DISTINCT FROM m.moved",
    "uses": "SELECT c.tenant_id, c.code FROM sales.coupon c WHERE c.uses <>"
            " (SELECT count(*) FROM sales.coupon_use u WHERE (u.tenant_id, u.code) = (c.tenant_id, c.code))",
    "invoices": "SELECT i.id FROM sales.invoice i WHERE i.amount <>"
                " (SELECT coalesce(sum(l.amount), 0) FROM sales.invoice_line l WHERE l.invoice_id = i.id)",
    "history": 'SELECT o.id FROM sales."order" o WHERE NOT EXISTS'
               " (SELECT FROM sales.order_status_history h WHERE h.order_id = o.id AND h.status = o.status)",
    "threads": "SELECT t.id FROM crm.message_thread t WHERE NOT EXISTS"
               " (SELECT FROM crm.message m WHERE m.id = t.last_message_id AND m.thread_id = t.id)",
}

# What must be refused, to whom, and how.
PROBES = (
    (None, "23503", "INSERT INTO sales.order_note (order_id, body) VALUES (-1, 'orphan')"),
    (None, "23503", "INSERT INTO sales.order_item (tenant_id, order_id, line, variant_id, quantity, unit_price)"
                    " VALUES ({t}, -1, 1, 1, 1, 1)"),
    (None, "23503", "INSERT INTO crm.customer_address (tenant_id, customer_id, street, city) VALUES ({t} + 1, {c}, 's', 'c')"),
    (None, "23503", "INSERT INTO stock.shipment_item (shipment_id, order_item_id, quantity) VALUES (1, -1, 1)"),
    (None, "23503", "INSERT INTO sales.refund (payment_id, paid_on, amount) VALUES (-1, '2024-01-01', 1)"),
    (None, "23503", "INSERT INTO crm.notification_read (tenant_id, notification_id, user_id) VALUES ({t}, -1, 1)"),
    (None, "23503", "INSERT INTO catalogue.product_attribute VALUES (1, -1, 'no such value')"),
    (None, "23503", "DELETE FROM catalogue.currency WHERE code = 'EUR'"),
    (None, "23503", "UPDATE catalogue.category SET parent_id = -1 WHERE id = 5"),
    (None, "23503", "DELETE FROM stock.warehouse WHERE id = 1"),
    (None, "23503", "SET CONSTRAINTS ALL IMMEDIATE;"
                    " INSERT INTO sales.invoice (order_id, amount) VALUES (-1, 0)"),
    (None, "23505", "INSERT INTO crm.customer (tenant_id, email, name) SELECT tenant_id, email, 'Double' FROM crm.customer"
                    " WHERE id = {c}"),
    (None, "23505", "INSERT INTO catalogue.brand (name) VALUES ('Brand 1')"),
    (None, "23505", "SET CONSTRAINTS ALL IMMEDIATE; INSERT INTO catalogue.supplier (name) VALUES ('Supplier 1')"),
    (None, "23514", "UPDATE crm.customer SET name = 'old name' WHERE id = {c}"),
    (None, "23514", "UPDATE crm.customer SET email = 'nobody' WHERE id = {c}"),
    (None, "23514", "INSERT INTO crm.review (tenant_id, customer_id, product_id, rating) VALUES ({t}, {c}, 1, 6)"),
    (None, "23514", "UPDATE stock.purchase_order_line SET received = quantity + 1 WHERE purchase_order_id = 1"),
    (None, "23514", "INSERT INTO sales.return_request (order_item_id, quantity, reason) VALUES (3, 1, 'x')"),
    (None, "23514", "SET CONSTRAINTS ALL IMMEDIATE; INSERT INTO sales.invoice (order_id, amount) VALUES (2, 5)"),
    (None, "23P01", "INSERT INTO catalogue.campaign (name, during) VALUES ('Second', '[2024-01-12,2024-01-13)')"),
    (None, "P0001", "DELETE FROM stock.movement WHERE id = 1"),
    (None, "P0001", "UPDATE stock.movement SET quantity = 7 WHERE id = 1"),
    (None, "42P10", "INSERT INTO crm.tenant (slug, name) VALUES ('x', 'y') ON CONFLICT (name) DO NOTHING"),
    ("shop_clerk", "44000", "UPDATE sales.v_open_order SET status = 'done' WHERE tenant_id = {t} AND status = 'placed'"),
    ("shop_clerk", "42501", "DELETE FROM crm.tenant WHERE id = {t}"),
    ("shop_clerk", "42501", "DELETE FROM catalogue.brand WHERE id = 1"),
    ("shop_reporting", "42501", "SELECT payload FROM crm.session LIMIT 1"),
    ("shop_reporting", "42501", "UPDATE catalogue.product SET name = 'x' WHERE id = 1"),
    ("shop_tenant_user", "42501", "INSERT INTO crm.customer (tenant_id, email, name) VALUES ({t} % 12 + 1, 'a@b{u}', 'x')"),
    ("shop_tenant_user", "42501", "INSERT INTO crm.consent (tenant_id, customer_id, purpose, given)"
                                  " VALUES ({t} % 12 + 1, {c}, 'x', true)"),
    ("shop_tenant_user", "42501", "INSERT INTO crm.review (tenant_id, customer_id, product_id, rating, body)"
                                  " VALUES ({t}, {c}, 7, 5, 'wow')"),
    ("shop_tenant_user", "42501", "INSERT INTO crm.customer_address (tenant_id, customer_id, street, city)"
                                  " VALUES ({t}, {c}, '', 'x')"),
    ("shop_tenant_user", "42501", "UPDATE crm.customer SET credit = 1000 WHERE id = {c}"),
    ("shop_tenant_user", "42501", "SELECT login_count FROM crm.app_user"),
    ("shop_tenant_user", "42501", "SELECT * FROM catalogue.v_public_product LIMIT 1"),
)

# Of whom a tenant's user must not see a row.
TENANTS_ONLY = ("crm.tenant_setting", "crm.customer", "crm.customer_address", "crm.consent", "crm.notification",
                'sales."order"', "sales.cart", "crm.v_customer")


class Wrong(load.MirrorError):
    """The shop showed what it must not show."""


def quoted(table):
    return 'sales."order"' if table == "sales.order" else table


class Writer:
    """One session that works in the shop, in random transactions, for tenants of its own."""

    def __init__(self, dsn, number, writers, seed, weights):
        self.dsn, self.number, self.writers = dsn, number, writers
        self.rng = random.Random(f"{seed}/{number}")
        self.own = f"mod(tenant_id, {writers}) = {number}"
        self.focus = None
        weights = {**WEIGHTS, **weights}
        self.kinds = list(weights)
        self.weights = list(weights.values())
        self.count = 0
        self.connect()

    # Sessions and statements

    def connect(self):
        self.conn = psycopg2.connect(self.dsn, application_name=f"shop {self.number}")
        self.conn.autocommit = True
        self.cursor = self.conn.cursor()
        self.run("SELECT set_config('lock_timeout', %s, false)", LOCK_TIMEOUT)
        self.prepare_all()
        self.look_around()

    def look_around(self):
        """What there is for this writer's tenants."""
        # Rows of the old system, which break a constraint, are left alone.
        self.customers = self.rows(f"SELECT id, tenant_id FROM crm.customer WHERE {self.own} AND name !~ '^old ' ORDER BY id")

    def run(self, sql, *parameters):
        self.cursor.execute(sql, parameters or None)
        return self.cursor.rowcount

    def rows(self, sql, *parameters):
        self.run(sql, *parameters)
        return self.cursor.fetchall()

    def row(self, sql, *parameters):
        """The first row, None where there is none."""
        found = self.rows(sql, *parameters)
        return found[0] if found else None

    def value(self, sql, *parameters):
        found = self.row(sql, *parameters)
        return found[0] if found else None

    def must(self, condition, what):
        if not condition:
            raise Wrong(f"{what}, with {self.focus} being rewritten")

    def change(self, sql, *parameters):
        """A change of exactly one row, which is there."""
        count = self.run(sql, *parameters)
        self.must(count == 1, f"{count} rows were changed by {self.cursor.query.decode()}")

    def become(self, role, tenant=None):
        """For the rest of the transaction."""
        self.run(f"SET LOCAL ROLE {role}" if role else "RESET ROLE")
        self.run("SELECT set_config('shop.tenant', %s, true)", "" if tenant is None else str(tenant))

    def unique(self):
        """A number that no other call gives, and no row of the start has."""
        self.count += 1
        return 10000 + self.count * self.writers + self.number

    def customer(self):
        return self.rng.choice(self.customers)

    def order(self, *statuses):
        """An order of our tenants in one of the states, locked: (id, tenant, customer, total); None where there is none."""
        return self.row(f'SELECT id, tenant_id, customer_id, total FROM sales."order" WHERE {self.own}'
                        "   AND status = ANY (%s::sales.order_status[]) ORDER BY random() LIMIT 1 FOR UPDATE", list(statuses))

    def goods(self, most=4):
        """Variants and quantities, in the order in which stock is locked."""
        variants = sorted(self.rng.sample(range(1, VARIANTS + 1), self.rng.randint(1, most)))
        return variants, [self.rng.randint(1, 5) for _ in variants]

    # Orders

    def place_order(self):
        self.become("shop_clerk")
        customer, tenant = self.customer()
        variants, quantities = self.goods()
        order = self.value("SELECT sales.place_order(%s, %s, %s, %s, %s::smallint)", tenant, customer, variants, quantities,
                           self.rng.randint(1, WAREHOUSES))
        if self.rng.random() < 0.3:
            self.become(None)
            code = self.value("SELECT code FROM sales.coupon WHERE tenant_id = %s ORDER BY random() LIMIT 1", tenant)
            self.run("INSERT INTO sales.coupon_use (tenant_id, code, order_id) VALUES (%s, %s, %s)", tenant, code, order)
        return lambda: self.read_back(order, len(variants))

    def enter_order(self):
        self.become("shop_clerk")
        customer, tenant = self.customer()
        variants, quantities = self.goods(1)
        order = self.value("INSERT INTO sales.v_order_entry (tenant_id, customer_id, variant_id, quantity)"
                           " VALUES (%s, %s, %s, %s) RETURNING id", tenant, customer, variants[0], quantities[0])
        return lambda: self.read_back(order, 1)

    def read_back(self, order, lines):
        """An order that was committed is there, for all to see."""
        found = self.row("SELECT total, of_lines, lines FROM sales.v_order_summary WHERE id = %s", order)
        self.must(found is not None, f"order {order} is gone")
        self.must(found[0] == found[1] and found[2] == lines, f"order {order} of {lines} lines shows {found}")
        self.must(self.value("SELECT count(*) FROM audit.log WHERE table_name = 'sales.order' AND operation = 'I'"
                             " AND row_key = %s", json.dumps({"id": order})) == 1, f"order {order} was not logged once")

    def pay(self):
        self.become("shop_clerk")
        found = self.order("placed")
        if found is None:
            return
        order, tenant, _, total = found
        paid_on = datetime.date(2024, 1, 1) + datetime.timedelta(days=self.rng.randrange(120))
        self.run("INSERT INTO sales.payment (paid_on, tenant_id, order_id, amount, method) VALUES (%s, %s, %s, %s, 'cash')",
                 paid_on, tenant, order, total)
        self.change("UPDATE sales.v_open_order SET status = 'paid' WHERE id = %s", order)
        # The invoice first: it is the sum of its lines when the transaction ends.
        invoice = self.value("INSERT INTO sales.invoice (order_id, amount) VALUES (%s, %s) RETURNING id", order, total)
        self.run("INSERT INTO sales.invoice_line (invoice_id, line, text, amount)"
                 " SELECT %s, line, 'Line', line_total FROM sales.order_item WHERE order_id = %s", invoice, order)

    def ship(self):
        self.become("shop_clerk")
        found = self.order("paid")
        if found is None:
            return
        order, tenant, _, _ = found
        shipment = self.value("INSERT INTO stock.shipment (tenant_id, order_id, carrier_id) VALUES (%s, %s, %s) RETURNING id",
                              tenant, order, self.rng.randint(1, 5))
        self.run("INSERT INTO stock.shipment_item SELECT %s, id, quantity FROM sales.order_item WHERE order_id = %s",
                 shipment, order)
        self.change('UPDATE sales."order" SET status = \'shipped\' WHERE id = %s', order)

    def track(self):
        """By the role that owns the table."""
        self.become("shop_warehouse")
        self.run(f"UPDATE stock.shipment SET tracking = %s WHERE id = (SELECT id FROM stock.shipment WHERE {self.own}"
                 "  ORDER BY random() LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)", f"T{self.unique()}")

    def cancel(self):
        found = self.order("placed")
        if found is None:
            return
        order, tenant, _, _ = found
        self.become("shop_tenant_user", tenant)
        self.change('UPDATE sales."order" SET status = \'cancelled\' WHERE id = %s', order)
        self.must(self.run('UPDATE sales."order" SET "Remark" = \'mine\' WHERE tenant_id <> %s', tenant) == 0,
                  "an order of another tenant was changed")
        self.become("shop_clerk")
        self.run("INSERT INTO stock.movement (warehouse_id, variant_id, kind, quantity, cost_cents, reference)"
                 " SELECT 1, variant_id, 'return', sum(quantity), 0, 'cancelled' FROM sales.order_item WHERE order_id = %s"
                 "  GROUP BY variant_id ORDER BY variant_id", order)

    def change_lines(self):
        found = self.order("placed")
        if found is None:
            return
        order, tenant, _, _ = found
        how = self.rng.randrange(3)
        if how == 0:
            self.run("UPDATE sales.order_item SET quantity = 1 + (quantity + 1) %% 7 WHERE order_id = %s", order)
        elif how == 1:
            self.run("DELETE FROM sales.order_item WHERE order_id = %s AND line > 1 AND line = (SELECT max(line)"
                     " FROM sales.order_item WHERE order_id = %s)", order, order)
        else:
            self.run("INSERT INTO sales.order_item (tenant_id, order_id, line, variant_id, quantity, unit_price)"
                     " SELECT %s, %s, max(line) + 1, %s, 2, 4.25 FROM sales.order_item WHERE order_id = %s",
                     tenant, order, self.rng.randint(1, VARIANTS), order)
        total, of_lines = self.row('SELECT total, (SELECT sum(line_total) FROM sales.order_item WHERE order_id = o.id)'
                                   ' FROM sales."order" o WHERE id = %s', order)
        self.must(total == of_lines, f"order {order} is {total}, its lines are {of_lines}")

    def give_back(self):
        self.become("shop_clerk")
        found = self.order("shipped", "done")
        if found is None:
            return
        (order, *_) = found
        item = self.row("SELECT id, variant_id FROM sales.order_item WHERE order_id = %s ORDER BY line LIMIT 1", order)
        payment = self.row("SELECT id, paid_on, amount FROM sales.payment WHERE order_id = %s ORDER BY id LIMIT 1", order)
        if item is None:
            return
        self.run("INSERT INTO sales.return_request (order_item_id, quantity, reason) VALUES (%s, 1, 'Too large')", item[0])
        if payment and payment[2] >= 1:
            self.run("INSERT INTO sales.refund (payment_id, paid_on, amount) VALUES (%s, %s, 1)", *payment[:2])
        self.run("INSERT INTO stock.movement (warehouse_id, variant_id, kind, quantity, cost_cents, reference)"
                 " VALUES (2, %s, 'return', 1, 0, 'return')", item[1])

    def note(self):
        """Through the old program's view, whose rules write the table."""
        self.become("shop_clerk")
        found = self.order("placed", "paid", "shipped", "done", "cancelled")
        if found is None:
            return
        note = self.value("INSERT INTO sales.order_note (order_id, body) VALUES (%s, 'new') RETURNING id", found[0])
        self.run("UPDATE sales.v_legacy_note SET note_text = 'changed' WHERE note_no = %s", note)
        self.must(self.value("SELECT body FROM sales.order_note WHERE id = %s", note) == "changed", f"note {note} is as it was")
        if self.rng.random() < 0.3:
            self.run("DELETE FROM sales.v_legacy_note WHERE note_no = %s", note)

    # Customers

    def new_customer(self):
        tenant = self.rng.choice([t for t in range(1, TENANTS + 1) if t % self.writers == self.number])
        self.become("shop_tenant_user", tenant)
        unique = self.unique()
        customer = self.value("INSERT INTO crm.customer (tenant_id, email, name) VALUES (%s, %s, %s) RETURNING id",
                              tenant, f"new{unique}@example.com", f"New {unique}")
        self.run("INSERT INTO crm.customer_address (tenant_id, customer_id, street, city, is_default)"
                 " VALUES (%s, %s, 'New street', 'New city', true)", tenant, customer)
        self.run("INSERT INTO crm.consent (tenant_id, customer_id, purpose, given) VALUES (%s, %s, 'mail', true)",
                 tenant, customer)
        self.become(None)
        self.run("SELECT crm.add_loyalty(%s, %s, 50)", tenant, customer)
        return lambda: self.customers.append((customer, tenant))

    def edit_customer(self):
        customer, tenant = self.customer()
        name = f"Customer {self.unique()}"
        self.become("shop_tenant_user", tenant)
        before = self.value("SELECT row_version FROM crm.customer WHERE id = %s FOR UPDATE", customer)
        self.change("UPDATE crm.v_customer SET name = %s, phone = %s WHERE id = %s", name, str(self.unique()), customer)
        version = self.value("SELECT row_version FROM crm.customer WHERE id = %s", customer)
        self.must(version == before + 1, f"customer {customer} went from version {before} to {version}")
        return lambda: self.must(self.value("SELECT name FROM crm.customer WHERE id = %s", customer) == name,
                                 f"the name of customer {customer} is not what was committed")

    def delete_customer(self):
        customer, tenant = self.customer()
        self.change("DELETE FROM crm.customer WHERE id = %s", customer)

        def forget():
            self.customers.remove((customer, tenant))
            left = self.value('SELECT count(*) FROM sales."order" WHERE customer_id = %s', customer)
            self.must(left == 0, f"{left} orders of a customer who is gone")

        return forget

    def loyalty(self):
        customer, tenant = self.customer()
        self.run("SELECT crm.add_loyalty(%s, %s, %s)", tenant, customer, self.rng.randint(1, 90))

    def correspond(self):
        """A new thread, which names its last message before that is there; or an answer."""
        customer, tenant = self.customer()
        thread = self.value("SELECT id FROM crm.message_thread WHERE customer_id = %s ORDER BY id DESC LIMIT 1 FOR UPDATE",
                            customer)
        message = self.value("SELECT nextval('crm.message_id_seq')")
        if thread is None:
            thread = self.value("INSERT INTO crm.message_thread (tenant_id, customer_id, subject, last_message_id)"
                                " VALUES (%s, %s, 'Hello', %s) RETURNING id", tenant, customer, message)
        else:
            self.change("UPDATE crm.message_thread SET last_message_id = %s WHERE id = %s", message, thread)
        self.run("INSERT INTO crm.message (id, thread_id, body, reply_to) SELECT %s, %s, 'Text', max(id) FROM crm.message"
                 " WHERE thread_id = %s", message, thread, thread)
        seen = self.value("SELECT last_message FROM crm.v_thread WHERE id = %s", thread)
        self.must(seen is not None, f"thread {thread} shows no message")

    def consent(self):
        customer, tenant = self.customer()
        self.become("shop_tenant_user", tenant)
        self.run("UPDATE crm.consent SET given = false, revision = revision %% 100 + 1 WHERE customer_id = %s", customer)

    def review(self):
        customer, tenant = self.customer()
        self.become("shop_tenant_user", tenant)
        product = self.rng.randint(1, PRODUCTS)
        self.run("INSERT INTO crm.review (tenant_id, customer_id, product_id, rating, body) VALUES (%s, %s, %s, %s, 'Of course')"
                 " ON CONFLICT DO NOTHING", tenant, customer, product, self.rng.randint(1, 5))
        self.run("UPDATE crm.review SET title = 'Changed' WHERE customer_id = %s AND product_id = %s", customer, product)
        user = self.value("SELECT id FROM crm.app_user ORDER BY random() LIMIT 1")
        review = self.value("SELECT id FROM crm.review WHERE customer_id = %s AND product_id = %s", customer, product)
        if user and review:
            self.run("INSERT INTO crm.review_vote (review_id, user_id) VALUES (%s, %s) ON CONFLICT (review_id, user_id)"
                     " DO UPDATE SET value = 2", review, user)
        if self.rng.random() < 0.2:
            self.run("DELETE FROM crm.review WHERE customer_id = %s AND product_id = %s", customer, product)

    def fill_cart(self):
        customer, tenant = self.customer()
        self.become("shop_tenant_user", tenant)
        cart = self.value("SELECT id FROM sales.cart WHERE customer_id = %s LIMIT 1 FOR UPDATE", customer)
        if cart is None:
            cart = self.value("INSERT INTO sales.cart (tenant_id, customer_id, payload) VALUES (%s, %s, %s) RETURNING id",
                              tenant, customer, '{"from": "app"}')
        for variant in self.goods()[0]:
            self.run("INSERT INTO sales.cart_item (cart_id, variant_id) VALUES (%s, %s) ON CONFLICT (cart_id, variant_id)"
                     " DO UPDATE SET quantity = least(9, cart_item.quantity + 1)", cart, variant)
        if self.rng.random() < 0.3:
            self.change("DELETE FROM sales.cart WHERE id = %s", cart)

    def notify(self):
        customer, tenant = self.customer()
        self.become("shop_tenant_user", tenant)
        number = self.value("INSERT INTO crm.notification (tenant_id, customer_id, text) VALUES (%s, %s, 'News') RETURNING id",
                            tenant, customer)
        user = self.value("SELECT id FROM crm.app_user ORDER BY id LIMIT 1")
        self.become(None)
        self.run("INSERT INTO crm.notification_read (tenant_id, notification_id, user_id) VALUES (%s, %s, %s)",
                 tenant, number, user)
        if self.rng.random() < 0.3:
            self.change("DELETE FROM crm.notification WHERE tenant_id = %s AND id = %s", tenant, number)

    def people(self):
        """A user with roles and a session, which the rule keeps when it ends."""
        tenant = self.customer()[1]
        user = self.value("INSERT INTO crm.app_user (tenant_id, email, name) VALUES (%s, %s, 'New') RETURNING id",
                          tenant, f"new{self.unique()}@example.org")
        self.run("INSERT INTO crm.user_role (user_id, role_id, granted_by) SELECT %s, id, 1 FROM crm.role WHERE id <= 2", user)
        session = self.value("INSERT INTO crm.session (user_id, payload) VALUES (%s, '{}') RETURNING id", user)
        self.run("DELETE FROM crm.session WHERE id = %s", session)
        self.must(self.value("SELECT count(*) FROM crm.session_archive WHERE id = %s", session) == 1, "a session was not kept")
        if self.rng.random() < 0.5:
            self.change("DELETE FROM crm.app_user WHERE id = %s", user)

    # Goods

    def categories(self):
        """One writer moves branches of the tree; a child may come before its parent."""
        if self.number != 0:
            return self.edit()
        parent, child = self.unique(), self.unique()
        # ALL: by its name the constraint would be this very one, not that of a table which comes before the next statement.
        self.run("SET CONSTRAINTS ALL DEFERRED")
        self.run("INSERT INTO catalogue.category (id, parent_id, name) VALUES (%s, %s, 'Child')", child, parent)
        self.run("INSERT INTO catalogue.category (id, parent_id, name) VALUES (%s, %s, %s)", parent, self.rng.randint(1, 60),
                 f"Category {parent}")
        self.run("INSERT INTO catalogue.product_category (product_id, category_id) VALUES (%s, %s)",
                 self.rng.randint(1, PRODUCTS), child)
        before = self.value("SELECT row_version FROM catalogue.category WHERE id = %s FOR UPDATE", 61 - parent % 30)
        self.change("UPDATE catalogue.category SET parent_id = %s WHERE id = %s", self.rng.randint(1, 4), 61 - parent % 30)
        version = self.value("SELECT row_version FROM catalogue.category WHERE id = %s", 61 - parent % 30)
        self.must(version in (before, before + 1), f"version {before} of a category became {version}")
        if self.rng.random() < 0.5:
            self.run("DELETE FROM catalogue.category WHERE id IN (%s, %s)", parent, child)
        return None

    def edit_product(self):
        product = self.value("SELECT id FROM catalogue.product WHERE id <= %s ORDER BY random() LIMIT 1"
                             " FOR NO KEY UPDATE SKIP LOCKED", PRODUCTS)
        if product is None:
            return
        text = "Text" if self.rng.random() < 0.7 else "".join(str(self.rng.random()) for _ in range(300))
        self.change("EXECUTE reword (%s, %s)", product, text)
        self.run("UPDATE catalogue.product_image SET position = 3 - position WHERE product_id = %s AND position <= 2", product)
        self.must(self.value("SELECT product FROM catalogue.v_product WHERE id = %s", product) is not None,
                  f"product {product} is not in the view")

    def new_product(self):
        """With all that belongs to it; half of them go again, with it."""
        self.become("shop_clerk")
        unique = self.unique()
        product = self.value("INSERT INTO catalogue.product (brand_id, name, slug) VALUES (%s, %s, %s) RETURNING id",
                             self.rng.randint(1, 40), f"Product {unique}", f"new-product-{unique}")
        variant = self.value("INSERT INTO catalogue.product_variant (product_id, sku) VALUES (%s, %s) RETURNING id",
                             product, f"NEW-{unique}")
        self.run("INSERT INTO catalogue.product_image (product_id, position, url) VALUES (%s, 1, 'https://new.example')", product)
        self.run("INSERT INTO catalogue.supplier_product (supplier_id, product_id, cost) VALUES (1, %s, 3)", product)
        self.run("INSERT INTO catalogue.price (price_list_id, variant_id, amount) VALUES (1, %s, 12.5)", variant)
        self.become(None)
        self.must(self.value("SELECT catalogue.product_name(%s)", product) == f"Product {unique}", "a product has no name")
        label = self.value("SELECT catalogue.label(v) FROM catalogue.product_variant v WHERE id = %s", variant)
        self.must(label == f"NEW-{unique}", f"a variant is labelled {label}")
        if self.rng.random() < 0.5:
            self.change("DELETE FROM catalogue.product WHERE id = %s", product)

    def prices(self):
        variant = self.rng.randint(1, VARIANTS)
        day = datetime.date(2024, 1, 1) + datetime.timedelta(days=self.unique())
        self.run("INSERT INTO catalogue.price (price_list_id, variant_id, valid_from, amount) VALUES (2, %s, %s, 9.75)",
                 variant, day)
        if self.rng.random() < 0.5:
            self.change("DELETE FROM catalogue.price WHERE price_list_id = 2 AND variant_id = %s AND valid_from = %s", variant, day)

    def codes(self):
        """One writer changes keys, and what points at them follows."""
        if self.number != 0:
            return self.edit()
        permission = 1 + self.rng.randrange(30)
        code = f"permission-{permission}" + self.rng.choice(("", "-new"))
        self.run("UPDATE crm.permission SET code = %s WHERE code ~ %s AND code <> %s", code,
                 f"^permission-{permission}(-new)?$", code)
        value = self.rng.randint(1, 10)
        self.run("UPDATE catalogue.attribute_value SET value = %s WHERE attribute_id = 1 AND value ~ %s", f"value {value}" +
                 self.rng.choice(("", " new")), f"^value {value}( new)?$")
        return None

    def move_stock(self):
        origin, target = sorted(self.rng.sample(range(1, WAREHOUSES + 1), 2))
        self.run("CALL stock.move(%s::smallint, %s::smallint, %s, %s)", origin, target, self.rng.randint(1, VARIANTS),
                 self.rng.randint(1, 9))

    def purchase(self):
        variants, quantities = self.goods()
        purchase = self.value("INSERT INTO stock.purchase_order (supplier_id, warehouse_id) VALUES (%s, 3) RETURNING id",
                              self.rng.randint(1, 20))
        self.run("INSERT INTO stock.purchase_order_line (purchase_order_id, line, variant_id, quantity, unit_cost)"
                 " SELECT %s, line, v, q, 2.5 FROM unnest(%s, %s) WITH ORDINALITY AS w (v, q, line)", purchase, variants, quantities)
        self.run("UPDATE stock.purchase_order_line SET received = quantity WHERE purchase_order_id = %s", purchase)
        self.run("INSERT INTO stock.movement (warehouse_id, variant_id, kind, quantity, cost_cents, reference)"
                 " SELECT 3, variant_id, 'receipt', received, cost * 100, 'purchase' FROM stock.purchase_order_line"
                 "  WHERE purchase_order_id = %s ORDER BY variant_id", purchase)

    # Readers

    def known(self):
        return {"product": self.rng.randint(1, PRODUCTS), "tenant": self.customer()[1], "customer": self.customer()[0],
                "order": self.rng.randint(1, 2400)}

    def views(self):
        self.become("shop_reporting")
        for sql in self.rng.sample(READS, 3):
            self.cursor.execute(sql, self.known())
            self.cursor.fetchall()

    def prepare_all(self):
        self.run("DEALLOCATE ALL")
        for name, (sql, _) in PREPARED.items():
            self.run(f"PREPARE {name} (integer) AS {sql}")
        self.run("PREPARE reword (integer, text) AS UPDATE catalogue.product SET description = $2, active = NOT active"
                 " WHERE id = $1")

    def prepared(self):
        """Kept statements; after a change of a type the server refuses them once, as after ALTER TABLE."""
        name = self.rng.choice(list(PREPARED))
        self.rows(f"EXECUTE {name} (%s)", self.known()[PREPARED[name][1]])

    def report(self):
        """One snapshot for several questions, asked one after another."""
        self.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        total = self.value('SELECT sum(total) FROM sales."order"')
        lines = self.value("SELECT sum(line_total) FROM sales.order_item")
        self.must(total == lines, f"in one snapshot the orders are {total}, their lines {lines}")
        stock = self.value("SELECT sum(quantity) FROM stock.level")
        moved = self.value("SELECT sum(quantity) FROM stock.movement")
        self.must(stock == moved, f"in one snapshot the stock is {stock}, its movements {moved}")

    def sums(self):
        for what in self.rng.sample(list(SUMS), 2):
            found = self.rows(SUMS[what] + " LIMIT 3")
            self.must(not found, f"{what} do not add up: {found}")

    def probe(self):
        """What must be refused is refused, and a tenant's user sees no other tenant's rows."""
        customer, tenant = self.customer()
        for role, code, sql in self.rng.sample(PROBES, 3):
            self.become(role, tenant)
            self.refused(code, sql.format(t=tenant, c=customer, u=self.unique()))
        self.become("shop_tenant_user", tenant)
        table = self.rng.choice(TENANTS_ONLY)
        seen = self.row(f"SELECT count(*) FILTER (WHERE tenant_id <> %s), count(*) FROM {table}", tenant)
        self.must(seen[0] == 0, f"a user of tenant {tenant} sees {seen[0]} rows of others in {table}")
        self.must(seen[1] > 0, f"a user of tenant {tenant} sees nothing in {table}")

    def refused(self, code, sql):
        self.run("SAVEPOINT probe")
        try:
            self.run(sql)
        except psycopg2.Error as error:
            if error.pgcode != code and error.pgcode not in ("55P03", "40P01"):
                raise Wrong(f"{sql}: was to be refused with {code}, and was with {error.pgcode}: {error},"
                            f" with {self.focus} being rewritten") from error
            if error.pgcode != code:
                raise
            self.run("ROLLBACK TO SAVEPOINT probe")
            return
        raise Wrong(f"{sql}: was to be refused with {code}, with {self.focus} being rewritten")

    # Any table

    def edit(self):
        """A small change of the table in focus, or of any."""
        name = self.focus if self.focus in EDITS and self.rng.random() < 0.8 else self.rng.choice(list(EDITS))
        customer, tenant = self.customer()
        values = {"r": self.rng.randrange(1000), "t": tenant, "c": customer, "u": self.unique(), "own": self.own}
        key, assignments, which = EDITS[name]
        how = self.rng.random()
        if name in INSERTS and how < 0.4:
            self.run(f"INSERT INTO {name} " + INSERTS[name].format(**values))
        elif name in REMOVALS and how < 0.55:
            self.run(f"DELETE FROM {name} WHERE ({key}) = (SELECT {key} FROM {name} WHERE {REMOVALS[name].format(**values)}"
                     " ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED)")
        else:
            table = quoted(name)
            self.run(f"UPDATE {table} SET {assignments.format(**values)} WHERE ({key}) = (SELECT {key} FROM {table}"
                     f" WHERE {which.format(**values)} ORDER BY random() LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)")

    # As load.write() wants it

    def transaction(self):
        kind = "edit" if self.focus and self.rng.random() < 0.3 else self.rng.choices(self.kinds, self.weights)[0]
        self.run("BEGIN")
        then = getattr(self, kind)()
        self.run("COMMIT")
        if then is not None:
            then()
        return kind

    def obey(self, command):
        """Statements are prepared anew, so that one that is refused was prepared before the rewrite of this table."""
        self.focus = command.removeprefix("focus ")
        self.prepare_all()

    def kind_of_failure(self, error):
        if "cached plan must not change result type" in str(error):
            return f"cached plan: {self.focus}"
        return f"{error.pgcode}: {self.focus}"

    def recover(self):
        if self.conn.closed:
            return self.connect()
        self.run("ROLLBACK")
        self.run("DISCARD PLANS")
        self.prepare_all()
        return self.look_around()


class Traffic(load.Load):
    """
    The shop's writers. Use as a load:

        with Traffic(database) as traffic:
            traffic.look_at("sales.order")
            …
        assert not traffic.result.broken
    """

    program = pathlib.Path(__file__).resolve()

    def __init__(self, database, writers=3, rate=30, seed=1, weights=None):
        super().__init__(database, writers=writers, rate=rate, seed=seed, weights=weights)

    def prepare(self):
        raise NotImplementedError("shop.load() makes the shop")

    def options(self, number):
        return {"dsn": self.database.dsn(), "number": number, "writers": self.writers, "seed": self.seed, "rate": self.rate,
                "weights": self.weights}

    def look_at(self, table):
        """This table is changed more often from now on, and named where something goes wrong."""
        self._command(f"focus {table}")


def writer_of(options):
    return Writer(options["dsn"], options["number"], options["writers"], options["seed"], options["weights"])


if __name__ == "__main__":
    load.main(writer_of)
