"""Tokens with roles, what was measured of a version, and jobs found by state.

Revision: 0005
Follows: 0004
"""

import sqlalchemy as sa
from alembic import op

from apps.control_api.storage.clock import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_tokens_hash")),
    )
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tokens_created_at"), ["created_at"], unique=False)
    with op.batch_alter_table("models", schema=None) as batch_op:
        batch_op.add_column(sa.Column("evaluation", sa.JSON(), nullable=False, server_default="{}"))
    op.create_index("ix_jobs_state_seq", "jobs", ["state", "seq"])


def downgrade() -> None:
    op.drop_index("ix_jobs_state_seq", table_name="jobs")
    with op.batch_alter_table("models", schema=None) as batch_op:
        batch_op.drop_column("evaluation")
    op.drop_table("tokens")
