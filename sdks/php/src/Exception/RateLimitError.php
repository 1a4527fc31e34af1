<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * Too many requests.
 */
final class RateLimitError extends APIStatusError
{
}
