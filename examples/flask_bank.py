"""A bank behind Flask: events, and rows of the application's own, in one transaction.

Run it with ``flask --app 'examples.flask_bank:create_app("sqlite:///bank.db")' run``.
"""

from __future__ import annotations

from contextlib import ExitStack
from decimal import Decimal
from typing import Any

from flask import Flask, Response, g, request
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, scoped_session, sessionmaker

from eventsourcing.domain.model.context import unit_of_work
from eventsourcing.domain.model.decorators import retry
from eventsourcing.exceptions import ConcurrencyError, RepositoryKeyError
from eventsourcing.infrastructure.sqlalchemy.tables import stored_events_table
from examples.bank import Account, Bank, InsufficientFunds


class Base(DeclarativeBase):
    pass


class Letter(Base):
    """A letter to be sent: a row such as any application has."""

    __tablename__ = "letters"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


stored_events_table(metadata=Base.metadata)  # created, and migrated, with the other tables


def create_app(uri: str) -> Flask:
    flask = Flask(__name__)
    engine = flask.extensions["engine"] = create_engine(uri)
    Base.metadata.create_all(engine)
    session = flask.extensions["session"] = scoped_session(sessionmaker(engine))
    bank = Bank(session=session, setup_table=False)  # one for the process; writes in the session

    @flask.before_request
    def begin() -> None:
        g.request = ExitStack()
        g.request.callback(session.remove)  # rolls back what was not committed
        g.correlation_id = g.request.enter_context(unit_of_work()).correlation_id

    @flask.after_request
    def tell(response: Response) -> Response:
        response.headers["X-Correlation-ID"] = g.correlation_id
        return response

    @flask.teardown_request
    def end(error: BaseException | None) -> None:
        g.pop("request").close()

    @flask.post("/accounts")
    def open_account() -> Any:
        body = request.get_json()
        with session.begin():
            bank.open_account(body["number"], body["owner"], Decimal(body["amount"]))
        return {"number": body["number"]}, 201

    @flask.get("/accounts/<number>")
    def show_account(number: str) -> Any:
        account = bank.account(number)
        return {"owner": account.owner, "balance": str(account.balance)}

    @flask.post("/transfers")
    def transfer() -> Any:
        body = request.get_json()
        send(body["source"], body["target"], Decimal(body["amount"]))
        return {}, 201

    @retry(ConcurrencyError)
    def send(source: str, target: str, amount: Decimal) -> None:
        with session.begin():  # commits in the end, or rolls back; each attempt begins anew
            payer = bank.repository.get(source, Account)
            payee = bank.repository.get(target, Account)
            payer.withdraw(amount)
            payee.deposit(amount)
            bank.save(payer, payee)
            session.add(Letter(text=f"{payer.owner} sent {payee.owner} {amount}"))

    @flask.errorhandler(RepositoryKeyError)
    def not_found(error: RepositoryKeyError) -> Any:
        return {"error": "no such account"}, 404

    @flask.errorhandler(ConcurrencyError)
    def conflict(error: ConcurrencyError) -> Any:
        return {"error": "somebody else was quicker: try again"}, 409

    @flask.errorhandler(InsufficientFunds)
    def refused(error: InsufficientFunds) -> Any:
        return {"error": str(error)}, 422

    flask.extensions["bank"] = bank
    return flask
