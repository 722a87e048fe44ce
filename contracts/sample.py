"""The published sample: the body of the first request that a partner sends."""

SAMPLE_BODY = """\
{"data": [{"name": "John Doe", "phone": "+1 555 0100", "address": "1 Main Street", "email": "[email\u00a0protected]",
 "order_id": "ORD-1001", "refferral_code": "REF-42", "user_id": "U-7",
 "products": [{"product_sku_id": "SKU-1", "amount": "1500", "qty": "2"},
              {"product_sku_id": "SKU-2", "amount": "2500", "qty": "1"}],
 "total_amount": "5000", "discount": "500", "total_qty": "3"}]}"""
