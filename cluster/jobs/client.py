"""The jobs of a cluster, asked for over HTTP. Whatever goes wrong is a UsageError of one line."""

import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.jobs.address import VARIABLES
from cluster.jobs.request import JobRequest, checked_id
from cluster.session import TOKEN, prepare
from dist_alexnet.config import UsageError

if TYPE_CHECKING:
    from ray.dashboard.modules.job.pydantic_models import JobDetails

CONNECT_S, ANSWER_S = 5.0, 120.0  # the second is for an upload, too
QUIET = (  # loggers of Ray: what they say is said here in other words
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.authentication.http_token_authentication",
)


class Jobs:
    """Those of one cluster."""

    def __init__(self, address: str) -> None:
        """`address`: of its dashboard, as `dashboard_address` gives it.

        Raises:
            UsageError: nobody answers there, it is no dashboard of Ray, or it wants another token.
        """
        prepare()
        from ray.job_submission import JobSubmissionClient

        for name in QUIET:
            logging.getLogger(name).setLevel(logging.CRITICAL)

        class Client(JobSubmissionClient):
            """Ray's own, which would wait for an answer for ever."""

            def _do_request(self, *arguments: Any, **options: Any) -> Any:
                return super()._do_request(*arguments, **options, timeout=(CONNECT_S, ANSWER_S))

        self.address = address
        with self._told(), _without(*VARIABLES):  # to Ray, these win over an argument
            self._client = Client(address)

    def check_free(self, job: str) -> None:
        """Refuse an id that a job has, before anything is sent."""
        if any(job == other.submission_id for other in self.all()):
            raise UsageError(self._refusal("already exists", job))

    def submit(self, request: JobRequest, package: Path | None) -> str:
        """Send a job; returns its id.

        Args:
            request: what it is.
            package: the working tree as a zip file.
        """
        fields = asdict(request)
        if package:
            fields["runtime_env"]["working_dir"] = str(package)
        with self._told(request.submission_id):
            return str(self._client.submit_job(**fields))

    def info(self, job: str) -> "JobDetails":
        """What Ray knows of a job."""
        with self._told(job):
            return self._client.get_job_info(checked_id(job))

    def logs(self, job: str) -> str:
        """All that its driver has printed."""
        with self._told(job):
            return str(self._client.get_job_logs(checked_id(job)))

    def tail(self, job: str) -> AsyncIterator[str]:
        """What its driver has printed and prints, from the beginning, up to its end or that of the connection."""
        return self._client.tail_job_logs(checked_id(job))

    def stop(self, job: str) -> bool:
        """Ask a job to end; False: it has ended."""
        with self._told(job):
            return bool(self._client.stop_job(checked_id(job)))

    def all(self) -> list["JobDetails"]:
        """Those that were submitted, the oldest first."""
        with self._told():
            return sorted((job for job in self._client.list_jobs() if job.submission_id), key=lambda job: job.start_time or 0)

    @contextmanager
    def _told(self, job: str | None = None) -> Iterator[None]:
        import requests
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            shown = "another token than the one it was shown" if "Invalid" in str(error) else "a token"
            raise UsageError(f"the cluster at {self.address} asks for {shown}; {TOKEN}") from None
        except (ConnectionError, requests.ConnectionError, requests.Timeout):
            raise UsageError(
                f"no dashboard of Ray answers at {self.address}; type the address of the cluster's, as in --address http://10.0.0.1:8265"
            ) from None
        except (requests.RequestException, KeyError, TypeError) as error:
            raise UsageError(
                f"what answers at {self.address} is no dashboard of Ray ({type(error).__name__}: {_line(str(error))})"
            ) from None
        except (RuntimeError, ValueError) as error:
            raise UsageError(self._refusal(str(error), job)) from None

    def _refusal(self, text: str, job: str | None) -> str:
        if "already exists" in text:
            return f"there is a job {job} at {self.address} already; type another --submission-id, or leave it out"
        if "does not exist" in text:
            return f"there is no job {job} at {self.address}; dist-alexnet jobs list shows which there are"
        if "404" in text:
            return f"what answers at {self.address} is no dashboard of Ray; type the address of one, as in --address http://10.0.0.1:8265"
        return f"the cluster at {self.address} refused: {_line(text)}"


def _line(text: str) -> str:
    """The last line of a message: it may end a traceback of somebody else's."""
    lines = text.strip().splitlines()
    return lines[-1][:400] if lines else "it does not say why"


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Some environment variables are not there meanwhile."""
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)
