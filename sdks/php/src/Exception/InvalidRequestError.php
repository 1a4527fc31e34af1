<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * A request that the service cannot read or do.
 */
final class InvalidRequestError extends APIStatusError
{
}
