-- Who may do what. Tenants share the tables: their users see the rows of their tenant.

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA crm, sales TO shop_clerk;
REVOKE DELETE ON crm.tenant FROM shop_clerk;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA catalogue TO shop_clerk WITH GRANT OPTION;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA stock TO shop_clerk;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA crm, catalogue, stock, sales TO shop_clerk, shop_tenant_user;
GRANT SELECT ON ALL TABLES IN SCHEMA crm, catalogue, stock, sales TO shop_reporting;
REVOKE SELECT ON crm.session FROM shop_reporting;
GRANT SELECT (id, user_id, started_at) ON crm.session TO shop_reporting;
GRANT SELECT ON catalogue.product, catalogue.product_variant, catalogue.category, catalogue.price, catalogue.currency,
    crm.tenant TO shop_tenant_user;
GRANT SELECT, INSERT, UPDATE, DELETE ON crm.tenant_setting, crm.customer_address, crm.review, crm.review_vote, crm.consent,
    sales.cart, sales.cart_item TO shop_tenant_user;
GRANT SELECT, INSERT, UPDATE (name, phone, tags, score) ON crm.customer TO shop_tenant_user;
GRANT SELECT, UPDATE (status, "Remark") ON sales."order" TO shop_tenant_user;
GRANT SELECT (id, tenant_id, email, name, active) ON crm.app_user TO shop_tenant_user;
GRANT SELECT, INSERT ON crm.notification TO shop_tenant_user;
GRANT TRIGGER, REFERENCES, TRUNCATE ON catalogue.brand TO shop_warehouse;

ALTER TABLE crm.tenant_setting ENABLE ROW LEVEL SECURITY;
ALTER TABLE crm.app_user ENABLE ROW LEVEL SECURITY;
ALTER TABLE crm.customer ENABLE ROW LEVEL SECURITY;
ALTER TABLE crm.customer_address ENABLE ROW LEVEL SECURITY;
ALTER TABLE crm.consent ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE crm.review ENABLE ROW LEVEL SECURITY;
ALTER TABLE crm.review_vote ENABLE ROW LEVEL SECURITY;
ALTER TABLE crm.notification ENABLE ROW LEVEL SECURITY;
ALTER TABLE sales.cart ENABLE ROW LEVEL SECURITY;
ALTER TABLE sales."order" ENABLE ROW LEVEL SECURITY;

CREATE POLICY staff ON crm.tenant_setting TO shop_clerk, shop_reporting USING (true);
CREATE POLICY staff ON crm.app_user TO shop_clerk, shop_reporting USING (true);
CREATE POLICY staff ON crm.customer TO shop_clerk, shop_reporting USING (true);
CREATE POLICY staff ON crm.customer_address TO shop_clerk, shop_reporting USING (true);
CREATE POLICY staff ON crm.consent TO shop_clerk, shop_reporting, CURRENT_USER USING (true);
CREATE POLICY staff ON crm.review TO shop_clerk, shop_reporting USING (true);
CREATE POLICY staff ON crm.review_vote TO shop_clerk, shop_reporting USING (true);
CREATE POLICY staff ON crm.notification TO shop_clerk, shop_reporting USING (true);
CREATE POLICY staff ON sales.cart TO shop_clerk, shop_reporting USING (true);
CREATE POLICY staff ON sales."order" TO shop_clerk, shop_reporting, shop_warehouse USING (true);

CREATE POLICY own ON crm.tenant_setting TO shop_tenant_user USING (tenant_id = crm.current_tenant());
CREATE POLICY own ON crm.app_user FOR SELECT TO shop_tenant_user USING (tenant_id = crm.current_tenant());
CREATE POLICY own ON crm.customer TO shop_tenant_user USING (tenant_id = crm.current_tenant());
CREATE POLICY own ON crm.customer_address TO shop_tenant_user USING (tenant_id = crm.current_tenant())
    WITH CHECK (tenant_id = crm.current_tenant() AND street <> '');
CREATE POLICY own ON crm.consent TO shop_tenant_user USING (tenant_id = crm.current_tenant());
CREATE POLICY own_seen ON crm.review FOR SELECT TO shop_tenant_user USING (true);
CREATE POLICY own_written ON crm.review FOR INSERT TO shop_tenant_user WITH CHECK (tenant_id = crm.current_tenant());
CREATE POLICY own_changed ON crm.review FOR UPDATE TO shop_tenant_user USING (tenant_id = crm.current_tenant());
CREATE POLICY own_deleted ON crm.review FOR DELETE TO shop_tenant_user USING (tenant_id = crm.current_tenant());
CREATE POLICY no_wild_praise ON crm.review AS RESTRICTIVE FOR INSERT TO shop_tenant_user
    WITH CHECK (rating < 5 OR length(body) > 5);
COMMENT ON POLICY no_wild_praise ON crm.review IS 'Five stars need a word';
-- Votes of the tenant's own users, on anybody's reviews.
CREATE POLICY own ON crm.review_vote TO shop_tenant_user
    USING (EXISTS (SELECT FROM crm.app_user u WHERE u.id = user_id AND u.tenant_id = crm.current_tenant()))
    WITH CHECK (EXISTS (SELECT FROM crm.review r WHERE r.id = review_id));
CREATE POLICY own ON crm.notification TO shop_tenant_user USING (tenant_id = crm.current_tenant());
CREATE POLICY own ON sales.cart TO shop_tenant_user USING (tenant_id = crm.current_tenant());
CREATE POLICY own ON sales."order" TO shop_tenant_user USING (tenant_id = crm.current_tenant());
CREATE POLICY open_only ON sales."order" AS RESTRICTIVE FOR UPDATE TO shop_tenant_user
    USING (status <> 'done') WITH CHECK (status IN ('placed', 'cancelled'));
