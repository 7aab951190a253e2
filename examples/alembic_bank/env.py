"""What Alembic runs: ``alembic -c examples/alembic_bank/alembic.ini upgrade head``."""

import os

from alembic import context
from sqlalchemy import create_engine, pool

from examples.alembic_bank.models import Base

engine = create_engine(os.environ["DB_URI"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
