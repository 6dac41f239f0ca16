-- What leaves the shop.

CREATE PUBLICATION shop_catalogue FOR TABLE catalogue.product, catalogue.product_variant, catalogue.brand, catalogue.category;
CREATE PUBLICATION shop_events FOR TABLE sales.payment, crm.notification WITH (publish_via_partition_root = true, publish = 'insert');
COMMENT ON PUBLICATION shop_catalogue IS 'For the search engine';
