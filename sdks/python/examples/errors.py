from massivesms import (
    APIConnectionError,
    ComplianceError,
    InvalidRequestError,
    MassiveSMS,
    PaymentRequiredError,
    RateLimitError,
)

client = MassiveSMS(timeout=10, deadline=60, max_retries=2)
try:
    client.messages.create(to="+1abc", body="Doors open")
except InvalidRequestError as error:
    print(error.code, error.param, error.request_id)
except PaymentRequiredError as error:
    print("credits:", error.available, "of", error.required)
except ComplianceError as error:
    print("may not be sent:", error.code)
except RateLimitError as error:
    print("later:", error.retry_after, error.resets_at)
except APIConnectionError as error:
    print("no answer; try again with", error.idempotency_key)
