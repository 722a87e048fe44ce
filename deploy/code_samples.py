"""The clients of docs/clients as the API's pages show them: `x-codeSamples` of OpenAPI documents."""

from pathlib import Path

from deploy.errors import CodeSampleError

FOLDERS = {
    "curl": ("Shell", "cURL", "post_orders.sh"),
    "php": ("PHP", "PHP cURL", "post_orders.php"),
    "node": ("JavaScript", "Node axios", "post_orders.mjs"),
    "csharp": ("C#", "C# RestSharp", "PostOrders.cs"),
    "python": ("Python", "Python http.client", "post_orders.py"),
    "java": ("Java", "Java OkHttp", "PostOrders.java"),
    "go": ("Go", "Go net/http", "post_orders.go"),
    "ruby": ("Ruby", "Ruby Net::HTTP", "post_orders.rb"),
    "c": ("C", "C libcurl", "post_orders.c"),
    "powershell": ("PowerShell", "PowerShell", "Post-Orders.ps1"),
}
"""Folder of a client: its language, its label in a page, and its file. A page shows them in this order."""


def code_samples(clients: Path) -> list[dict[str, str]]:
    """`lang`, `label` and `source` of each client. `clients` is docs/clients of a checkout: a wheel does not have it.

    Raises CodeSampleError if a file is missing.
    """
    return [
        {"lang": language, "label": label, "source": _source(clients / folder / name)}
        for folder, (language, label, name) in FOLDERS.items()
    ]


def _source(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CodeSampleError(f"{file} is missing. Name docs/clients of a checkout.") from None
