from benchmarks.policy import EVERY_RULE
from creditgate.domain.decision import Action
from creditgate.policies import parse_policy


def test_every_rule_is_on_and_has_an_effect() -> None:
    (judged,) = parse_policy(EVERY_RULE).compiled(shadow=False).classes.values()
    assert all(setting.action > Action.SHADOW for setting in judged.rules.values())
