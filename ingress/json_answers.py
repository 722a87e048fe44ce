"""An answer with a JSON body."""

import json

from starlette.responses import Response

Json = dict[str, object]


def json_response(
    status: int, content: Json, headers: dict[str, str] | None = None, media_type: str = "application/json"
) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status, headers, media_type=media_type)
