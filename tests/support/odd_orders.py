"""Orders in which a writer gets up to two fields right or wrong, for property tests of schemas."""

from typing import Any

from hypothesis import strategies as st

from support.orders import an_order

_TEXTS = st.sampled_from(["", " ", "Ada", "a\0", " x ", "\u00a0", "ä", "x" * 512, "x" * 513])
_WRONG: st.SearchStrategy[Any] = st.sampled_from([None, True, [], {}])
_TEXT_FIELDS = "name", "phone", "address", "email", "order_id", "refferral_code", "user_id"
_GONE = object()


@st.composite
def odd_orders(draw: st.DrawFn, integers: list[Any], amounts: list[Any]) -> dict[str, Any]:
    """`integers` and `amounts`: values for the fields of that kind. What a schema can say of them differs."""
    integer, amount = st.sampled_from(integers), st.sampled_from(amounts)
    products = st.fixed_dictionaries(
        {}, optional={"product_sku_id": _TEXTS | _WRONG, "amount": amount | _WRONG, "qty": integer | _WRONG}
    )
    changes: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(
            ("name", "phone", "address", "email", "order_id", "refferral_code", "user_id"), _TEXTS | _WRONG
        ),
        **dict.fromkeys(("total_amount", "discount", "total_qty"), integer | _WRONG),
        "products": st.lists(products, max_size=2) | _WRONG,
        "unknown": _TEXTS.filter(lambda text: "\0" not in text) | _WRONG,
    }
    names = draw(st.lists(st.sampled_from(sorted(changes)), max_size=2, unique=True))
    drawn = {name: draw(st.one_of(changes[name], st.just(_GONE)), label=name) for name in names}
    return {name: value for name, value in {**an_order(), **drawn}.items() if value is not _GONE}
