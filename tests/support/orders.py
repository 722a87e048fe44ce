"""Orders to test with."""

from typing import Any


def an_order(order_id: str = "O-1", **changes: Any) -> dict[str, Any]:
    """An order that is valid; a change to None leaves the field out."""
    order: dict[str, Any] = {
        "name": "Ada",
        "phone": "1",
        "address": "Main Street 1",
        "email": "[email protected]",
        "order_id": order_id,
        "refferral_code": "R",
        "user_id": "U",
        "products": [{"product_sku_id": "S", "amount": "12.50", "qty": 2}],
        "total_amount": 2500,
        "discount": 0,
        "total_qty": 2,
    }
    return {name: value for name, value in {**order, **changes}.items() if value is not None}
