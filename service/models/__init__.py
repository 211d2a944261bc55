"""The tables of the service itself. Importing this package registers them; domains define their own."""

from service.models.api_key import ApiKey
from service.models.backup_run import BackupRun
from service.models.feature_flag import FeatureFlag
from service.models.idempotency_record import IdempotencyRecord
from service.models.job_run import JobRun
from service.models.row_history import RowHistory

__all__ = ["ApiKey", "BackupRun", "FeatureFlag", "IdempotencyRecord", "JobRun", "RowHistory"]
