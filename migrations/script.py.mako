"""${message}.

Revision: ${up_revision}. After: ${down_revision | comma,n}.
A revision imports nothing of runsync: it must mean tomorrow what it means today.
"""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "raise NotImplementedError"}


def downgrade() -> None:
    ${downgrades if downgrades else "raise NotImplementedError"}
