"""Settings of all tests."""

import hypothesis

# The same examples in every run, and no limit of time: the machine may be busy with other tests.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=60)
hypothesis.settings.load_profile("repeatable")
