"""A bank behind FastAPI, with the library's own connections.

Run it with ``uvicorn examples.fastapi_bank:api``, the database being named by ``DB_URI``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from eventsourcing.domain.model.context import unit_of_work
from eventsourcing.exceptions import ConcurrencyError, RepositoryKeyError
from examples.bank import Bank, InsufficientFunds


class NewAccount(BaseModel):
    number: str
    owner: str
    amount: Decimal


class Transfer(BaseModel):
    source: str
    target: str
    amount: Decimal


@asynccontextmanager
async def lifespan(api: FastAPI) -> AsyncIterator[None]:
    with Bank() as bank:  # open as long as the server runs
        api.state.bank = bank
        yield


api = FastAPI(lifespan=lifespan)


def bank_of(request: Request) -> Bank:
    bank: Bank = request.app.state.bank
    return bank


TheBank = Annotated[Bank, Depends(bank_of)]


@api.middleware("http")
async def in_unit_of_work(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    with unit_of_work() as unit:
        response = await call_next(request)
    response.headers["X-Correlation-ID"] = str(unit.correlation_id)
    return response


# Plain functions: the library waits for the database, so FastAPI runs them in threads.


@api.post("/accounts", status_code=201)
def open_account(new: NewAccount, bank: TheBank) -> dict[str, str]:
    bank.open_account(new.number, new.owner, new.amount)
    return {"number": new.number}


@api.get("/accounts/{number}")
def show_account(number: str, bank: TheBank) -> dict[str, str]:
    account = bank.account(number)
    return {"owner": account.owner, "balance": str(account.balance)}


@api.post("/transfers", status_code=201)
def transfer(wanted: Transfer, bank: TheBank) -> dict[str, str]:
    bank.transfer(wanted.source, wanted.target, wanted.amount)  # repeats itself after a conflict
    return {}


@api.exception_handler(RepositoryKeyError)
def not_found(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "no such account"}, status_code=404)


@api.exception_handler(ConcurrencyError)
def conflict(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "somebody else was quicker: try again"}, status_code=409)


@api.exception_handler(InsufficientFunds)
def refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=422)
