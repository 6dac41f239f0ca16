-- Constraints of later years, which rows of the old system break: the new ones must not.

ALTER TABLE crm.customer ADD CONSTRAINT customer_named CHECK (name !~ '^old ') NOT VALID;
ALTER TABLE sales.return_request ADD CONSTRAINT return_request_reason CHECK (length(reason) > 3) NOT VALID;
ALTER TABLE stock.shipment_item ADD CONSTRAINT shipment_item_order_item FOREIGN KEY (order_item_id)
    REFERENCES sales.order_item ON DELETE CASCADE NOT VALID;
COMMENT ON CONSTRAINT shipment_item_order_item ON stock.shipment_item IS 'Not of shipments before 2020';
