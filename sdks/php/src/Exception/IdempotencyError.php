<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * A misuse of an idempotency key, or one in use.
 */
final class IdempotencyError extends APIStatusError
{
}
