"""What the health port of a consumer tells."""

from consumer.vitals import Vitals
from deploy.health_port import Page, Pages, json_page


def pages_of(vitals: Vitals) -> Pages:
    """`/healthz`: whether it should be started again. `/readyz`: whether it applies orders."""

    def healthz() -> Page:
        alive = vitals.is_alive
        status = {"status": "ok" if alive else "stalled", "silent_s": round(vitals.silent_s, 1)}
        return json_page(200 if alive else 503, status)

    def readyz() -> Page:
        readiness = vitals.readiness()
        return json_page(200 if all(readiness.values()) else 503, readiness)

    return {"/healthz": healthz, "/readyz": readyz}
