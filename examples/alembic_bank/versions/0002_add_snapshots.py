"""Add the table of snapshots: as ``alembic revision --autogenerate`` wrote it, shortened."""

import sqlalchemy as sa
from alembic import op

from eventsourcing.infrastructure.sqlalchemy.tables import OriginatorId, State

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "stored_snapshots",
        sa.Column("originator_id", OriginatorId(), nullable=False),
        sa.Column("originator_version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("topic", State(), nullable=False),
        sa.Column("state", State(), nullable=False),
        sa.Column("event_id", sa.String(32), nullable=False),
        sa.Column("fingerprint", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("originator_id", "originator_version"),
    )


def downgrade() -> None:
    op.drop_table("stored_snapshots")
