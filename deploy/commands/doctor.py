"""`orders doctor`: shows what the checks find."""

import json
from dataclasses import asdict

from consumer.settings import OptionalPostgresSettings
from contracts.role import Role
from contracts.settings import KafkaSettings, load
from deploy.console import out
from deploy.doctor.findings import Status
from deploy.doctor.run import examine
from deploy.errors import UnhealthyError
from deploy.kafka_settings import load_kafka
from deploy.stack_file import use_running_stack

_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.WRONG: "red"}


def doctor(role: Role, as_json: bool) -> None:
    """Raises UnhealthyError if something is wrong, after all is shown."""
    use_running_stack()
    settings = load_kafka(KafkaSettings)
    wrong = 0
    for finding in examine(settings, load(OptionalPostgresSettings).postgres_url, role):
        wrong += finding.status is Status.WRONG
        if as_json:
            print(json.dumps(asdict(finding)), flush=True)  # noqa: T201 - for a program
        else:
            text = " ".join(finding.text.split())  # one line each
            line = f"{finding.status:<8} {finding.check:<18} {text}"
            out.print(line, style=_STYLES[finding.status], markup=False, highlight=False, soft_wrap=True)
    if wrong:
        raise UnhealthyError(f"Wrong: {wrong}. Begin with the first one: it may be the cause of others.")
