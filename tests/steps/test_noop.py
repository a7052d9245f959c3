from tests.steps.contexts import RecordingContext
def test_a(): RecordingContext()
