"""The gate answers as the model predicts, whatever it is asked, in whatever order."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from creditgate.domain.decision import Action, ReasonCode
from creditgate.domain.policy import DEFAULT_CLASS, ClassPolicy, Policy, RuleSetting
from creditgate.store import RedisCreditStore, StoreOptions
from tests.faults.service_process import ServiceProcess
from tests.model.gates import StoreGate
from tests.model.machine import ExpiringGateMachine, GateMachine, machine_on
from tests.model.rules import DEFAULT_RULEBOOK, FULL_RULEBOOK, Rulebook
from tests.model.service_gate import ServiceGate, open_service_gate
from tests.patience import PATIENCE_S, PATIENT_REDIS_S
from tests.private_redis import PrivateRedis
from tests.quiet_observer import QuietObserver

LONG_RUN_VARIABLE = "MODEL_EXAMPLES"
"""How many examples a long run tries; it draws at random and takes `--hypothesis-seed`. Unset: a short, fixed run."""

_STEPS = 60
_LONG_RUN_EXAMPLES = int(os.environ.get(LONG_RUN_VARIABLE, "0"))


def bounded(kind: type[GateMachine], examples: int) -> settings:
    return settings(
        max_examples=_LONG_RUN_EXAMPLES or examples,
        stateful_step_count=_STEPS,
        derandomize=not _LONG_RUN_EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # A failure is made small before it is shown, unless every try has to wait for holds to end.
        phases=(Phase.generate, Phase.shrink) if kind is GateMachine else (Phase.generate,),
        print_blob=True,
    )


def policy_of(rules: Rulebook, *, releases_reviews: bool) -> Policy:
    """Return rules as a policy of one class."""
    settings_of = {
        code: RuleSetting(
            rule.action, rule.number, rule.share_bps, {"USD": rule.amount} if rule.amount is not None else {}
        )
        for code, rule in rules.items()
    }
    every = {code: settings_of.get(code, RuleSetting(Action.OFF)) for code in ReasonCode}
    return Policy("model", {DEFAULT_CLASS: ClassPolicy(every, limit_rise_releases_reviews=releases_reviews)})


@pytest.fixture
def rules() -> Rulebook:
    """What decides."""
    return DEFAULT_RULEBOOK


@pytest.fixture
def releases_reviews() -> bool:
    """Whether a change of a limit releases what waits."""
    return False


@pytest.fixture
def gate(redis_url: str, rules: Rulebook, *, releases_reviews: bool) -> Iterator[StoreGate]:
    with asyncio.Runner() as runner:
        store = RedisCreditStore(
            redis_url,
            options=StoreOptions(redis_timeout_s=PATIENT_REDIS_S),
            observer=QuietObserver(),
            policy=policy_of(rules, releases_reviews=releases_reviews),
        )
        runner.run(store.start())
        assert runner.run(store.wait_ready(PATIENCE_S)), store.unready_reason
        gate = StoreGate(redis_url, store, runner.get_loop())
        yield gate
        gate.close()
        runner.run(store.close())


@pytest.fixture(scope="module")
def service_gate(private_redis: PrivateRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceGate]:
    service = ServiceProcess(tmp_path_factory.mktemp("service"), redis_url=private_redis.url, sweep_interval="0.1")
    service.start()
    with private_redis.client() as clock, open_service_gate(service.target, clock) as gate:
        yield gate
    service.close()


@pytest.mark.parametrize(
    ("rules", "releases_reviews"),
    [(DEFAULT_RULEBOOK, False), (FULL_RULEBOOK, False), (FULL_RULEBOOK, True)],
    ids=["default", "every rule", "every rule, and limits release reviews"],
)
@pytest.mark.parametrize(("kind", "examples"), [(GateMachine, 30), (ExpiringGateMachine, 2)])
@pytest.mark.timeout(600)  # making a failure small takes its time
def test_the_store_answers_as_the_model_predicts(
    gate: StoreGate, rules: Rulebook, kind: type[GateMachine], examples: int, *, releases_reviews: bool
) -> None:
    run_state_machine_as_test(
        machine_on(gate, kind, rules, releases_reviews=releases_reviews), settings=bounded(kind, examples)
    )


@pytest.mark.parametrize(("kind", "examples"), [(GateMachine, 12), (ExpiringGateMachine, 1)])
@pytest.mark.timeout(600)  # as above
def test_the_service_answers_as_the_model_predicts(
    service_gate: ServiceGate, kind: type[GateMachine], examples: int
) -> None:
    run_state_machine_as_test(machine_on(service_gate, kind), settings=bounded(kind, examples))
