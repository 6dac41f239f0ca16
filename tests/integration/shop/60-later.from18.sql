ALTER TABLE crm.app_user ADD COLUMN domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) VIRTUAL;
ALTER TABLE catalogue.campaign ADD CONSTRAINT campaign_affordable CHECK (budget < 1000000) NOT ENFORCED;
ALTER TABLE stock.movement ADD CONSTRAINT movement_cost_known NOT NULL cost_cents NOT VALID;
