<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * The time of an attempt, or of all of them, ran out.
 */
final class APITimeoutError extends APIConnectionError
{
}
