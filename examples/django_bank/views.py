"""Views, and the middleware that gives each request a correlation id."""

import json
from collections.abc import Callable
from decimal import Decimal

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from eventsourcing.domain.model.context import unit_of_work
from eventsourcing.exceptions import ConcurrencyError, RepositoryKeyError
from examples.bank import InsufficientFunds
from examples.django_bank.apps import get_bank

STATUS = {RepositoryKeyError: 404, ConcurrencyError: 409, InsufficientFunds: 422}


class in_unit_of_work:
    """Middleware: the events of a request have one correlation id; errors have a status."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with unit_of_work() as unit:
            response = self.get_response(request)
        response["X-Correlation-ID"] = str(unit.correlation_id)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        status = STATUS.get(type(error))
        return JsonResponse({"error": str(error)}, status=status) if status else None


@csrf_exempt
@require_POST
def open_account(request: HttpRequest) -> HttpResponse:
    body = json.loads(request.body)
    get_bank().open_account(body["number"], body["owner"], Decimal(body["amount"]))
    return JsonResponse({"number": body["number"]}, status=201)


@require_GET
def show_account(request: HttpRequest, number: str) -> HttpResponse:
    account = get_bank().account(number)
    return JsonResponse({"owner": account.owner, "balance": str(account.balance)})


@csrf_exempt
@require_POST
def transfer(request: HttpRequest) -> HttpResponse:
    body = json.loads(request.body)
    get_bank().transfer(body["source"], body["target"], Decimal(body["amount"]))
    return JsonResponse({}, status=201)
