"""Settings of all tests."""

import os
import signal
from pathlib import Path

import hypothesis
import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from configs import schema
from tests.support.helpers import ROOT

# The same examples in every run, and no limit of time: the machine may be busy with other tests.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=60)
hypothesis.settings.load_profile("repeatable")


def pytest_sessionstart(session):
    """What hypothesis stores goes to the run's own folder: it begins to write before the first fixture."""
    set_hypothesis_home_dir(session.config._tmp_path_factory.getbasetemp() / "hypothesis")


@pytest.fixture(scope="session", autouse=True)
def checkout_stays_clean(tmp_path_factory):
    """What tests with the default data.root_dir generate goes to a folder of this run, which its processes share."""
    base = tmp_path_factory.getbasetemp()
    shared, own = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base, schema.Config.generated_dir.fget

    def generated_dir(config: schema.Config) -> Path:
        in_checkout = Path(config.data.root_dir).resolve() == ROOT
        return shared / "generated" if in_checkout else own(config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema.Config, "generated_dir", property(generated_dir))
        yield


@pytest.fixture
def signals_are_heard():
    """Default handlers: under nohup or in a background job, the tests' own process ignores some signals."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number in before:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
