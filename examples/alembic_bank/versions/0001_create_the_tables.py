"""Create the tables: as ``alembic revision --autogenerate`` wrote it, shortened."""

import sqlalchemy as sa
from alembic import op

from eventsourcing.infrastructure.sqlalchemy.tables import ContextId, OriginatorId, State

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "letters",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "stored_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("originator_id", OriginatorId(), nullable=False),
        sa.Column("originator_version", sa.BigInteger(), nullable=False),
        sa.Column("topic", State(), nullable=False),
        sa.Column("state", State(), nullable=False),
        sa.Column("event_id", sa.String(32), nullable=False),
        sa.Column("correlation_id", ContextId()),
        sa.Column("causation_id", ContextId()),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "originator_id", "originator_version", name="stored_events_position_key"
        ),
    )


def downgrade() -> None:
    op.drop_table("stored_events")
    op.drop_table("letters")
