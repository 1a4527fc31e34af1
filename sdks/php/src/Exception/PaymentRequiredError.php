<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * A balance or cap that does not suffice.
 */
final class PaymentRequiredError extends APIStatusError
{
}
