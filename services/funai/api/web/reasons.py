"""Why jobs wait and fail, in the reader's language, and what to do next.

Deploy and runners give a code for programs and a sentence for people. The sentence is shown as it is; what is
here says the same in both languages. A code without an entry is shown by its sentence alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from funai.api.web.language import later


@dataclass(frozen=True)
class Reason:
    """What happened and what to do; both are msgids."""

    what: str
    advice: str


_REGISTRY_AWAY = Reason(
    later("The image registry does not answer."),
    later("Deploy again in a few minutes; if it stays so, tell an operator."),
)
_RUNNER_FAULT = Reason(
    later("The runner that had this job has a fault of its own."),
    later("Deploy again; if it fails so again, show an operator the text below."),
)
_NODE_FAULT = Reason(
    later("The node of this app could not start it."),
    later("What ran before goes on. Show an operator the text below, then deploy again."),
)
_TOO_LARGE = Reason(
    later("The source is larger than the platform allows."),
    later("Leave out what the build does not need, for example with .dockerignore."),
)
_ARCHIVE_BAD = Reason(
    later("The archive cannot be used."),
    later("Make a new .tar.gz or .zip of the source and deploy that."),
)
_UNREACHABLE = Reason(
    later("The server that has the source does not answer."),
    later("Look whether the address is right and the server is up, then deploy again."),
)
_TIMEOUT_FETCH = Reason(
    later("Fetching the source took too long."), later("Deploy again, or make the source smaller.")
)
_HOST_KEY = Reason(
    later("The git server did not prove that it is the right one."),
    later("Ask an operator to check the server's key."),
)

REASONS: dict[str, Reason] = {
    # Of jobs that wait
    "QUEUED": Reason(
        later("It waits for a free runner."), later("Nothing to do: it starts by itself.")
    ),
    "NO_RUNNER": Reason(
        later("No runner has asked for work lately."),
        later("Operators: look at the runners on the nodes page."),
    ),
    "NO_NODE": Reason(
        later("No node can take the app now."),
        later("It starts by itself once one can. Operators: look at the nodes page."),
    ),
    "NODE_AWAY": Reason(
        later("The app's node takes no deploys now."),
        later("It starts by itself once the node does, or an operator moves the app."),
    ),
    "SUPERSEDING": Reason(
        later("It waits until the job before it has made room."),
        later("Nothing to do: it starts by itself."),
    ),
    "APP_PAUSED": Reason(
        later("The app is paused, because its jobs kept ending their runners."),
        later("Look at the last failures, correct what caused them, then resume the app."),
    ),
    "LEASE_EXPIRED": Reason(
        later("The runner that had it was lost; another one takes it over."),
        later("Nothing to do: it starts by itself."),
    ),
    # Of jobs that ended
    "CANCELLED": Reason(later("Somebody cancelled it."), later("Deploy again when you like.")),
    "SUPERSEDED": Reason(later("A newer job took its place."), later("Look at the newer job.")),
    "LEASE_EXHAUSTED": Reason(
        later("It lost its runner too often."),
        later("Look at the end of the log for what it did, then deploy again."),
    ),
    "RUNNING_TOO_LONG": Reason(
        later("It ran longer than the platform allows."),
        later("Make the build shorter, then deploy again."),
    ),
    "JOB_OVERDUE": Reason(
        later("It ran longer than the platform allows."),
        later("Make the build shorter, then deploy again."),
    ),
    "BUILD_FAILED": Reason(
        later("The image could not be built."),
        later(
            "The end of the build's output is below. Correct the Dockerfile or the code, then deploy again."
        ),
    ),
    "BUILD_TIMEOUT": Reason(
        later("The build took too long."),
        later("Make the build shorter, or look for a step that waits for something."),
    ),
    "BUILD_DISK_FULL": Reason(
        later("The build needed more disk than it may use."),
        later("Make the image smaller, or clean up in the RUN that makes large files."),
    ),
    "BUILD_OUT_OF_MEMORY": Reason(
        later("The build needed more memory than it may use."),
        later("Let the build use less memory, for example fewer parallel jobs."),
    ),
    "BUILD_TOO_MANY_PROCESSES": Reason(
        later("The build started too many processes."),
        later("Let the build start fewer processes."),
    ),
    "BUILD_OUTPUT_TOO_LARGE": Reason(
        later("The build printed too much."), later("Make the build print less.")
    ),
    "BASE_IMAGE_NOT_FOUND": Reason(
        later("An image named in a FROM line was not found."),
        later("Correct the FROM line, or ask the operators to add the base image."),
    ),
    "DOCKERFILE_MISSING": Reason(
        later("The Dockerfile was not found."),
        later("Commit a Dockerfile, or correct its path in the Deploy form."),
    ),
    "CONTEXT_INVALID": Reason(
        later("The folder to build was not found, or cannot be used."),
        later("Correct the build folder in the Deploy form."),
    ),
    "CONTEXT_TOO_LARGE": _TOO_LARGE,
    "SOURCE_TOO_LARGE": _TOO_LARGE,
    "ARCHIVE_TOO_LARGE": _TOO_LARGE,
    "ARCHIVE_INVALID": _ARCHIVE_BAD,
    "ARCHIVE_UNSAFE": _ARCHIVE_BAD,
    "ARCHIVE_CHECKSUM": Reason(
        later("The archive is not the one that the checksum names."),
        later("Correct the checksum, or export the archive again."),
    ),
    "SUBMODULES_UNSUPPORTED": Reason(
        later("The repository has submodules, which are not fetched."),
        later("Put what they hold into the repository, or fetch it in the Dockerfile."),
    ),
    "SOURCE_DENIED": Reason(
        later("The server of the source refused the platform."),
        later("Ask an operator to give the runners access to this repository."),
    ),
    "SOURCE_NOT_FOUND": Reason(
        later("The source was not found at this address."),
        later("Correct the address, then deploy again."),
    ),
    "SOURCE_MOVED": Reason(
        later("The source has moved to another address."),
        later("Use the new address, then deploy again."),
    ),
    "SOURCE_HOST_REFUSED": Reason(
        later("Sources from this server are not allowed."),
        later("Use an allowed server, or ask an operator to allow this one."),
    ),
    "SOURCE_UNREACHABLE": _UNREACHABLE,
    "FETCH_FAILED": _UNREACHABLE,
    "FETCH_TIMEOUT": _TIMEOUT_FETCH,
    "REF_NOT_FOUND": Reason(
        later("There is no such branch, tag or commit."),
        later("Correct it in the Deploy form; look whether it was pushed."),
    ),
    "HOST_KEY_CHANGED": _HOST_KEY,
    "HOST_KEY_UNKNOWN": _HOST_KEY,
    "IMAGE_MISSING": Reason(
        later("The job does not say what to deploy."),
        later("Fill in the Deploy form and send it again."),
    ),
    "IMAGE_NOT_FOUND": Reason(
        later("The image was not found in its registry."),
        later("Push the image, or correct its name, then deploy again."),
    ),
    "PUSH_FAILED": _REGISTRY_AWAY,
    "PUSH_TIMEOUT": _REGISTRY_AWAY,
    "REGISTRY_UNAVAILABLE": _REGISTRY_AWAY,
    "REGISTRY_DENIED": Reason(
        later("The registry refused the image."),
        later("Ask an operator to give the platform access to the image's repository."),
    ),
    "CONTAINER_EXITED": Reason(
        later("The app ended right after its start."),
        later(
            "The end of its log is below. Correct the app, then deploy again. What ran before goes on."
        ),
    ),
    "NEVER_READY": Reason(
        later("The app started but did not answer."),
        later(
            "Let it listen on its port on all addresses and answer the health path. What ran before goes on."
        ),
    ),
    "VERIFY_FAILED": Reason(
        later("The app was started but its address does not answer as it should."),
        later("Look at the app's log, correct the app, then deploy again."),
    ),
    "DISK_FULL": Reason(
        later("The disk of the app's node is full."),
        later("Ask an operator to free space or to move the app."),
    ),
    "STALE_FENCE": Reason(
        later("A newer deploy of this app has reached the node."), later("Nothing to do.")
    ),
    "AGENT_UNREACHABLE": _NODE_FAULT,
    "AGENT_DENIED": _NODE_FAULT,
    "AGENT_FAILED": _NODE_FAULT,
    "ENGINE_UNAVAILABLE": _NODE_FAULT,
    "GATEWAY_UNAVAILABLE": _NODE_FAULT,
    "AGENT_REFUSED": Reason(
        later("The node refused what the job asks for."),
        later("Correct what the text below names, then deploy again."),
    ),
    "JOB_INVALID": Reason(
        later("The job asks for something that is not possible."),
        later("Correct what the text below names, then deploy again."),
    ),
    "RUNNER_BROKEN": _RUNNER_FAULT,
    "RUNNER_DISK_FULL": _RUNNER_FAULT,
    "BUILDER_UNAVAILABLE": _RUNNER_FAULT,
    "BUILD_NOT_CONFIGURED": Reason(
        later("No runner here builds images."), later("Deploy a ready image, or ask an operator.")
    ),
    "STEP_DIED": _RUNNER_FAULT,
    "STEP_MISSING": _RUNNER_FAULT,
    "TOKEN_MISSING": _RUNNER_FAULT,
    "DEPLOY_UNREACHABLE": _RUNNER_FAULT,
    "REPORT_REFUSED": _RUNNER_FAULT,
    "JOB_MALFORMED": _RUNNER_FAULT,
}


def reason_of(code: object) -> Reason | None:
    """Return what a code means; None where it has no entry."""
    return REASONS.get(str(code)) if code else None
