ALTER TABLE catalogue.price_list ADD CONSTRAINT price_list_name UNIQUE NULLS NOT DISTINCT (tenant_id, name);
