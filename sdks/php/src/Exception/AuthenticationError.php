<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * A missing, wrong or revoked API key.
 */
final class AuthenticationError extends APIStatusError
{
}
