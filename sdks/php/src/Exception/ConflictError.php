<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * A request that the state of a resource does not admit.
 */
final class ConflictError extends APIStatusError
{
}
