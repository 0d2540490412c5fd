"""GitLab's words in ours."""

from runsync.records import ABORTED, FAILED, PASSED, SKIPPED, Outcome, Status

STATUSES = {
    **dict.fromkeys("created waiting_for_resource waiting_for_callback".split(), Status.NOTSTARTED),
    **dict.fromkeys("preparing pending scheduled manual".split(), Status.NOTSTARTED),
    **dict.fromkeys("running canceling".split(), Status.RUNNING),
    **dict.fromkeys("success failed canceled skipped".split(), Status.FINISHED),
}
ENDINGS = {
    "success": PASSED,
    "failed": FAILED,
    "canceled": ABORTED,
    "skipped": SKIPPED,
}
EVENTS = {
    "merge_request_event": "pull_request",
    "external_pull_request_event": "pull_request",
    "web": "manual",
    "trigger": "api",
    "pipeline": "upstream",
    "parent_pipeline": "upstream",
}
"""Ours for a pipeline's ``source``, where it is another word than push, schedule or api."""
_TIMEOUTS = (
    "stuck_or_timeout_failure job_execution_timeout job_execution_server_timeout "
    "server_timeout_running server_timeout_canceling stuck_pending_with_matching_runners "
    "stuck_pending_no_matching_runners"
)
_ERRORS = (
    "api_failure runner_system_failure runner_unsupported stale_schedule unmet_prerequisites "
    "scheduler_failure data_integrity_failure no_matching_runner ci_quota_exceeded "
    "environment_creation_failure secrets_provider_not_found runner_configuration_error "
    "runner_external_dependency_failure runner_interrupted runner_provisioning_timeout "
    "job_router_failure no_updates_running no_updates_canceling"
)
REASONS = {
    **dict.fromkeys(_TIMEOUTS.split(), Outcome.TIMEOUT),
    **dict.fromkeys(_ERRORS.split(), Outcome.ERROR),
}
"""Whose fault a failed job is by its ``failure_reason``; for any other reason, its own."""
