<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * A fault of the service.
 */
final class ServerError extends APIStatusError
{
}
