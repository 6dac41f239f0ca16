-- What happens by itself.

-- Version and time of the last change.
CREATE TRIGGER touch BEFORE UPDATE ON crm.tenant FOR EACH ROW EXECUTE FUNCTION crm.touch();
CREATE TRIGGER touch BEFORE UPDATE ON crm.app_user FOR EACH ROW EXECUTE FUNCTION crm.touch();
CREATE TRIGGER touch BEFORE UPDATE ON crm.customer FOR EACH ROW EXECUTE FUNCTION crm.touch();
CREATE TRIGGER touch BEFORE UPDATE ON catalogue.category
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION crm.touch();
CREATE TRIGGER touch BEFORE UPDATE ON catalogue.product FOR EACH ROW EXECUTE FUNCTION crm.touch();
CREATE TRIGGER touch BEFORE UPDATE ON catalogue.product_variant FOR EACH ROW EXECUTE FUNCTION crm.touch();
CREATE TRIGGER touch BEFORE UPDATE ON catalogue.price_list FOR EACH ROW EXECUTE FUNCTION crm.touch();
CREATE TRIGGER touch BEFORE UPDATE ON sales."order" FOR EACH ROW EXECUTE FUNCTION crm.touch();
COMMENT ON TRIGGER touch ON sales."order" IS 'Programs compare row_version before they write';

-- The audit.
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON crm.tenant_setting
    FOR EACH ROW EXECUTE FUNCTION audit.record('tenant_id', 'key');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON crm.app_user FOR EACH ROW EXECUTE FUNCTION audit.record('id');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON crm.user_role
    FOR EACH ROW EXECUTE FUNCTION audit.record('user_id', 'role_id');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON crm.role_permission
    FOR EACH ROW EXECUTE FUNCTION audit.record('role_id', 'permission_code');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON crm.customer FOR EACH ROW EXECUTE FUNCTION audit.record('id');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON crm.consent FOR EACH ROW EXECUTE FUNCTION audit.record('id');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON crm.review FOR EACH ROW EXECUTE FUNCTION audit.record('id');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON catalogue.supplier FOR EACH ROW EXECUTE FUNCTION audit.record('id');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON catalogue.category FOR EACH ROW EXECUTE FUNCTION audit.record('id');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON catalogue.product FOR EACH ROW EXECUTE FUNCTION audit.record('id');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON catalogue.price
    FOR EACH ROW EXECUTE FUNCTION audit.record('price_list_id', 'variant_id', 'valid_from');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON stock.warehouse FOR EACH ROW EXECUTE FUNCTION audit.record('id');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON stock.shipment FOR EACH ROW EXECUTE FUNCTION audit.record('id');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON sales.coupon
    FOR EACH ROW EXECUTE FUNCTION audit.record('tenant_id', 'code');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON sales."order" FOR EACH ROW EXECUTE FUNCTION audit.record('id');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON sales.order_item FOR EACH ROW EXECUTE FUNCTION audit.record('id');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON sales.payment
    FOR EACH ROW EXECUTE FUNCTION audit.record('id', 'paid_on');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON sales.refund FOR EACH ROW EXECUTE FUNCTION audit.record('id');
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON sales.invoice FOR EACH ROW EXECUTE FUNCTION audit.record('number');
-- It was too much; it may be wanted again.
CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON stock.level
    FOR EACH ROW EXECUTE FUNCTION audit.record('warehouse_id', 'variant_id');
ALTER TABLE stock.level DISABLE TRIGGER zz_audit;
ALTER TABLE sales.refund ENABLE ALWAYS TRIGGER zz_audit;

-- Stock is the sum of its movements.
CREATE FUNCTION stock.add_movements() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO stock.level AS l (warehouse_id, variant_id, quantity)
    SELECT warehouse_id, variant_id, sum(quantity) FROM added GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (warehouse_id, variant_id) DO UPDATE SET quantity = l.quantity + excluded.quantity;
    RETURN NULL;
END $$;
CREATE TRIGGER add_movements AFTER INSERT ON stock.movement
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION stock.add_movements();
CREATE FUNCTION stock.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'movements are for ever' USING ERRCODE = 'raise_exception';
END $$;
CREATE TRIGGER for_ever BEFORE DELETE OR TRUNCATE ON stock.movement FOR EACH STATEMENT EXECUTE FUNCTION stock.refuse();
CREATE TRIGGER for_ever_quantity BEFORE UPDATE OF quantity, variant_id ON stock.movement
    FOR EACH ROW EXECUTE FUNCTION stock.refuse();

-- An account's points are the sum of its entries.
CREATE FUNCTION crm.add_points() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE crm.loyalty_account a SET points = a.points + n.points
      FROM (SELECT tenant_id, customer_id, sum(points) AS points FROM added GROUP BY 1, 2) AS n
     WHERE (a.tenant_id, a.customer_id) = (n.tenant_id, n.customer_id);
    RETURN NULL;
END $$;
CREATE TRIGGER add_points AFTER INSERT ON crm.loyalty_entry
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION crm.add_points();

-- An order's total is the sum of its lines.
CREATE FUNCTION sales.sum_order() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE sales."order" o SET total = sales.order_total(o.id) WHERE o.id IN (SELECT order_id FROM changed);
    RETURN NULL;
END $$;
CREATE TRIGGER sum_order_insert AFTER INSERT ON sales.order_item
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION sales.sum_order();
CREATE TRIGGER sum_order_update AFTER UPDATE ON sales.order_item
    REFERENCING OLD TABLE AS was NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION sales.sum_order();
CREATE TRIGGER sum_order_delete AFTER DELETE ON sales.order_item
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION sales.sum_order();

-- The states that an order was in.
CREATE FUNCTION sales.note_status() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO sales.order_status_history (order_id, status) VALUES (NEW.id, NEW.status);
    RETURN NULL;
END $$;
CREATE TRIGGER note_status AFTER INSERT ON sales."order" FOR EACH ROW EXECUTE FUNCTION sales.note_status();
CREATE TRIGGER note_status_change AFTER UPDATE OF status ON sales."order"
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION sales.note_status();

-- Uses are counted where coupons are.
CREATE FUNCTION sales.count_use() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE sales.coupon SET uses = uses + 1 WHERE (tenant_id, code) = (NEW.tenant_id, NEW.code);
    ELSE
        UPDATE sales.coupon SET uses = uses - 1 WHERE (tenant_id, code) = (OLD.tenant_id, OLD.code);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER count_use AFTER INSERT OR DELETE ON sales.coupon_use FOR EACH ROW EXECUTE FUNCTION sales.count_use();

-- When the transaction ends an invoice is the sum of its lines.
CREATE FUNCTION sales.check_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM sales.invoice i WHERE i.id = NEW.id AND i.amount <>
               (SELECT coalesce(sum(l.amount), 0) FROM sales.invoice_line l WHERE l.invoice_id = i.id)) THEN
        RAISE EXCEPTION 'invoice % is not the sum of its lines', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER balanced AFTER INSERT OR UPDATE ON sales.invoice DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION sales.check_invoice();
CREATE CONSTRAINT TRIGGER known_order AFTER INSERT ON sales.order_note FROM sales."order" NOT DEFERRABLE
    FOR EACH ROW WHEN (NEW.order_id < 0) EXECUTE FUNCTION stock.refuse();

CREATE FUNCTION sales.enter_order() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    placed sales."order";
BEGIN
    NEW.id := sales.place_order(NEW.tenant_id, NEW.customer_id, ARRAY[NEW.variant_id], ARRAY[NEW.quantity], 1::smallint);
    SELECT * INTO STRICT placed FROM sales."order" WHERE id = NEW.id;
    NEW."number" := placed."number";
    RETURN NEW;
END $$;
CREATE TRIGGER enter_order INSTEAD OF INSERT ON sales.v_order_entry FOR EACH ROW EXECUTE FUNCTION sales.enter_order();
