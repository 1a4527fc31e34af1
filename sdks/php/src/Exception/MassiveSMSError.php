<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * The base of all errors.
 */
class MassiveSMSError extends \Exception
{
}
