"""Receives webhooks with Django: a view and its URL."""

import os

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from massivesms import SignatureVerificationError, webhooks

seen: set[str] = set()  # Yours is a table with a unique column: events may come more than once.


@csrf_exempt
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    header = request.headers.get(webhooks.SIGNATURE_HEADER)
    try:
        event = webhooks.construct_event(request.body, header, os.environ["MASSIVESMS_WEBHOOK_SECRET"])
    except SignatureVerificationError:
        return HttpResponse(status=400)
    seen.add(event.id)
    return HttpResponse(status=204)


urlpatterns = [path("webhooks/sms", receive)]
