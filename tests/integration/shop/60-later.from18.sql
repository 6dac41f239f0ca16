ALTER TABLE catalogue.brand ADD COLUMN initial text GENERATED ALWAYS AS (upper(left(name, 1))) VIRTUAL;
ALTER TABLE catalogue.campaign ADD CONSTRAINT campaign_affordable CHECK (budget < 1000000) NOT ENFORCED;
ALTER TABLE stock.movement ADD CONSTRAINT movement_cost_known NOT NULL cost_cents NOT VALID;
