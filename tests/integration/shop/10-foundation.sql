-- A shop for many tenants. The files of this folder are loaded in the order of their names, as the role that is to own
-- the shop, which is no superuser: it may create in the database and is a member of the roles shop_clerk,
-- shop_tenant_user, shop_reporting and shop_warehouse. A file named *.fromN.sql needs PostgreSQL N.

CREATE SCHEMA crm;
CREATE SCHEMA catalogue;
CREATE SCHEMA stock;
CREATE SCHEMA sales;
CREATE SCHEMA audit;

GRANT USAGE ON SCHEMA crm, catalogue, stock, sales TO shop_clerk, shop_tenant_user, shop_reporting, shop_warehouse;
GRANT CREATE ON SCHEMA stock TO shop_warehouse;

ALTER DEFAULT PRIVILEGES IN SCHEMA crm, catalogue, sales, stock GRANT SELECT ON TABLES TO shop_reporting;
ALTER DEFAULT PRIVILEGES IN SCHEMA sales, stock GRANT SELECT, INSERT, UPDATE ON TABLES TO shop_clerk;
ALTER DEFAULT PRIVILEGES IN SCHEMA sales, stock GRANT USAGE ON SEQUENCES TO shop_clerk;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_warehouse IN SCHEMA stock GRANT SELECT ON TABLES TO shop_reporting, shop_clerk;

CREATE DOMAIN crm.email AS text CHECK (VALUE ~ '^[^@ ]+@[^@ ]+$');
CREATE DOMAIN catalogue.slug AS text NOT NULL CHECK (VALUE ~ '^[a-z0-9-]+$');
CREATE DOMAIN sales.amount AS numeric(12,2) DEFAULT 0 CHECK (VALUE >= 0);

CREATE TYPE crm.plan AS ENUM ('free', 'standard', 'large');
CREATE TYPE sales.order_status AS ENUM ('placed', 'paid', 'shipped', 'done', 'cancelled');
CREATE TYPE stock.movement_kind AS ENUM ('receipt', 'sale', 'return', 'transfer', 'correction');
CREATE TYPE catalogue.dimensions AS (width integer, height integer, depth integer);

-- Which tenant the session works for; null for the staff.
CREATE FUNCTION crm.current_tenant() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('shop.tenant', true), '')::integer;

-- Trigger functions. They are run by whoever writes, and some write where he may not.

CREATE FUNCTION crm.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    NEW.row_version := OLD.row_version + 1;
    RETURN NEW;
END $$;

-- The arguments are the columns of the key.
CREATE FUNCTION audit.record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    old_row jsonb;
    new_row jsonb;
    key_of jsonb;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        old_row := to_jsonb(OLD);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        new_row := to_jsonb(NEW);
    END IF;
    SELECT jsonb_object_agg(name, coalesce(new_row, old_row) -> name) INTO key_of FROM unnest(TG_ARGV) AS name;
    INSERT INTO audit.log (table_name, operation, row_key, before, after)
    VALUES (TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, left(TG_OP, 1), key_of, old_row, new_row);
    RETURN NULL;
END $$;

CREATE TABLE audit.log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    logged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor name NOT NULL DEFAULT session_user,
    table_name text NOT NULL,
    operation "char" NOT NULL,
    row_key jsonb NOT NULL,
    before jsonb,
    after jsonb,
    severity smallint NOT NULL DEFAULT 0,
    CONSTRAINT log_operation CHECK (operation IN ('I', 'U', 'D'))
) WITH (fillfactor = 100, autovacuum_vacuum_insert_scale_factor = 0.1);
CREATE INDEX log_table ON audit.log (table_name, id);
CREATE INDEX log_time ON audit.log USING brin (logged_at);
COMMENT ON TABLE audit.log IS 'Every change of the audited tables: what was, and what is';
ALTER TABLE audit.log ALTER before SET STORAGE EXTERNAL, ALTER after SET COMPRESSION pglz;
