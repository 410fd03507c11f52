"""The models in ../shared, planned for every instruction set: the arena is the lower bound."""

from __future__ import annotations

import pytest

from tests.support.paths import SCHEMES, SHARED_MODELS
from tests.support.real_models import FILES, OWN_SCHEMES, QUICK
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, for_isa, to_integers
from tinytrain.frontend import load_model
from tinytrain.isa import ISAS
from tinytrain.passes.base import Runner

PLANNED = sorted(
    {*QUICK, *((model, OWN_SCHEMES.get(model, ("head",))[0]) for model in FILES), ("vww", "full")}
)

pytestmark = pytest.mark.skipif(not SHARED_MODELS.is_dir(), reason="../shared/models is missing")


def step(model: str, scheme: str) -> Compiled:
    regression = model == "ad01"
    options = Options(
        scheme=str(SCHEMES / scheme) if scheme.endswith(".toml") else scheme,
        classes=None if regression else 10,
        loss="mean_squared_error" if regression else "cross_entropy",
        learning_rate=0.01,
    )
    runner = Runner()
    source = runner.check(load_model(SHARED_MODELS / FILES[model]), "import")
    return build_step(to_integers(source, None, options, runner), options, runner)


@pytest.mark.parametrize(("model", "scheme"), PLANNED)
def test_the_arena_is_as_large_as_its_lower_bound(
    model: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Initial exponents take the time of several steps, and no plan depends on them.
    monkeypatch.setattr("tinytrain.compiler.pipeline.warm_up", lambda *arguments: {})
    compiled = step(model, scheme)
    for isa in ISAS:
        plan = for_isa(compiled, isa).plan
        assert plan.gap == 0, f"{isa}: {plan.placement}, {plan.gap} bytes beyond the bound"
