"""A shop of 60 tables in five schemas, with everything that depends on tables (shop/*.sql), and a change for each table
that needs a rewrite."""

import pathlib
import re
import weakref

FOLDER = pathlib.Path(__file__).parent / "shop"
ROLES = ("shop_clerk", "shop_tenant_user", "shop_reporting", "shop_warehouse")

# A change of each table that PostgreSQL takes and makes by a rewrite; None: the table is rebuilt as it is.
CHANGES = {
    "audit.log": "ALTER TABLE audit.log ALTER severity TYPE integer",
    "crm.tenant": "ALTER TABLE crm.tenant ALTER max_users TYPE bigint",
    "crm.tenant_setting": "ALTER TABLE crm.tenant_setting ALTER version TYPE bigint",
    "crm.app_user": "ALTER TABLE crm.app_user ALTER login_count TYPE bigint, ALTER login_count SET DEFAULT 0",
    "crm.role": "ALTER TABLE crm.role ALTER rank TYPE integer",
    "crm.permission": "ALTER TABLE crm.permission ALTER level TYPE integer, ADD CHECK (level > 0)",
    "crm.role_permission": None,
    "crm.user_role": "ALTER TABLE crm.user_role ADD COLUMN ticket uuid NOT NULL DEFAULT gen_random_uuid()",
    "crm.session": "ALTER TABLE crm.session ALTER payload TYPE jsonb",
    "crm.session_archive": None,
    "crm.customer": "ALTER TABLE crm.customer ALTER score TYPE bigint, ALTER credit TYPE numeric(14,4)",
    "crm.customer_address": "ALTER TABLE crm.customer_address ALTER zip TYPE varchar(10)",
    "crm.consent": "ALTER TABLE crm.consent ALTER revision TYPE integer",
    "crm.message_thread": "ALTER TABLE crm.message_thread ALTER priority TYPE integer, ALTER last_message_id TYPE bigint",
    "crm.message": "ALTER TABLE crm.message ALTER id TYPE bigint, ALTER reply_to TYPE bigint",
    "crm.review": "ALTER TABLE crm.review ALTER customer_id TYPE bigint",
    "crm.review_vote": "ALTER TABLE crm.review_vote ALTER value TYPE integer",
    "crm.loyalty_account": "ALTER TABLE crm.loyalty_account ALTER tier TYPE integer",
    "crm.loyalty_entry": "ALTER TABLE crm.loyalty_entry ALTER id TYPE integer",
    "crm.notification": "ALTER TABLE crm.notification ALTER urgency TYPE bigint",
    "crm.notification_read": "ALTER TABLE crm.notification_read ALTER device TYPE bigint",
    "catalogue.currency": "ALTER TABLE catalogue.currency ALTER digits TYPE integer",
    "catalogue.language": "ALTER TABLE catalogue.language ALTER position TYPE integer; "
                          "CREATE INDEX language_position ON catalogue.language (position)",
    "catalogue.campaign": "ALTER TABLE catalogue.campaign ADD COLUMN days integer GENERATED ALWAYS AS"
                          " (upper(during) - lower(during)) STORED",
    "catalogue.brand": "ALTER TABLE catalogue.brand ALTER rank TYPE bigint",
    "catalogue.supplier": "ALTER TABLE catalogue.supplier ALTER lead_days TYPE integer",
    "catalogue.category": None,
    "catalogue.product": "ALTER TABLE catalogue.product ALTER weight_g TYPE bigint",
    "catalogue.supplier_product": "ALTER TABLE catalogue.supplier_product ALTER cost TYPE numeric(12,4)",
    "catalogue.product_variant": "ALTER TABLE catalogue.product_variant ALTER stock_hint TYPE bigint",
    "catalogue.product_image": "ALTER TABLE catalogue.product_image ALTER bytes TYPE bigint, ALTER position TYPE integer",
    "catalogue.product_category": None,
    "catalogue.attribute": "ALTER TABLE catalogue.attribute ALTER id TYPE bigint",
    "catalogue.attribute_value": "ALTER TABLE catalogue.attribute_value ALTER sort TYPE bigint",
    "catalogue.product_attribute": "ALTER TABLE catalogue.product_attribute ADD COLUMN checked_at timestamptz NOT NULL"
                                   " DEFAULT clock_timestamp()",
    "catalogue.price_list": "ALTER TABLE catalogue.price_list ALTER priority TYPE bigint, ALTER currency SET DEFAULT 'USD'",
    "catalogue.price": "ALTER TABLE catalogue.price ALTER min_quantity TYPE bigint, ADD CHECK (min_quantity > 0)",
    "catalogue.translation": "ALTER TABLE catalogue.translation ALTER revision TYPE bigint",
    "stock.warehouse": "ALTER TABLE stock.warehouse ALTER capacity TYPE bigint",
    "stock.level": "ALTER TABLE stock.level ALTER reorder_point TYPE bigint",
    "stock.movement": "ALTER TABLE stock.movement ALTER cost_cents TYPE bigint",
    "stock.carrier": "ALTER TABLE stock.carrier ALTER rank TYPE integer",
    "stock.shipment": "ALTER TABLE stock.shipment ALTER weight_g TYPE bigint",
    "stock.shipment_item": "ALTER TABLE stock.shipment_item ALTER quantity TYPE bigint",
    "stock.purchase_order": "ALTER TABLE stock.purchase_order ALTER revision TYPE bigint",
    "stock.purchase_order_line": "ALTER TABLE stock.purchase_order_line ALTER received TYPE bigint",
    "sales.cart": "ALTER TABLE sales.cart ALTER payload TYPE jsonb",
    "sales.cart_item": "ALTER TABLE sales.cart_item ALTER quantity TYPE integer",
    "sales.coupon": "ALTER TABLE sales.coupon ALTER uses TYPE bigint, ALTER discount TYPE numeric(6,3)",
    "sales.order": 'ALTER TABLE sales."order" ALTER priority TYPE integer',
    "sales.order_item": "ALTER TABLE sales.order_item ALTER discount_ppm TYPE bigint, ALTER id TYPE bigint",
    "sales.order_status_history": "ALTER TABLE sales.order_status_history ALTER id TYPE bigint;"
                                  " ALTER TABLE sales.order_status_history ALTER order_id TYPE bigint",
    "sales.order_note": "ALTER TABLE sales.order_note ADD COLUMN written timestamptz"
                        " DEFAULT clock_timestamp()",
    "sales.coupon_use": None,
    "sales.payment": "ALTER TABLE sales.payment ALTER attempts TYPE bigint",
    "sales.refund": "ALTER TABLE sales.refund ALTER attempt TYPE integer",
    "sales.invoice": "ALTER TABLE sales.invoice ALTER pages TYPE integer",
    "sales.invoice_line": "ALTER TABLE sales.invoice_line ALTER amount TYPE numeric(14,4)",
    "sales.return_request": "ALTER TABLE sales.return_request ALTER quantity TYPE integer",
    "sales.page_view": "ALTER TABLE sales.page_view ALTER tenant_id TYPE bigint",
}

# What is refused, and the reason that is named.
REFUSED = {
    "crm.notification": "partitioned table",
    "sales.payment": "partitioned table",
    "sales.page_view": "partitioned table",
    "crm.consent": "security is forced on",
}

_templates = weakref.WeakKeyDictionary()


def files(major, data=True):
    """The shop's files for that major, in order."""
    found = []
    for path in sorted(FOLDER.glob("*.sql"), key=lambda path: (path.name.split(".")[0], path.name.count("."), path.name)):
        newer = re.search(r"\.from(\d+)\.sql$", path.name)
        if (newer is None or major >= int(newer[1])) and (data or not path.name.endswith("-data.sql")):
            found.append(path)
    return found


def template(server, data=True):
    """The name of a database with the shop on that server, made once, to make others from: that takes less time."""
    made = _templates.setdefault(server, {})
    if data not in made:
        made[data] = load(server.new_database(), data).name
    return made[data]


def load(database, data=True):
    """Make the shop, as the application's role. Without data it is a twin, whose schema only is looked at."""
    for role in ROLES:
        database.server.role(role, member=True)
    conn = database.connect()
    try:
        with conn.cursor() as cursor:
            for path in files(database.major, data):
                try:
                    cursor.execute(path.read_text())
                except Exception as error:
                    raise RuntimeError(f"{path.name}: {error}") from error
            cursor.execute("ANALYZE")
    finally:
        conn.close()
    return database
