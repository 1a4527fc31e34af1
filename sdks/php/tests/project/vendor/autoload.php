<?php

declare(strict_types=1);

// Stands where Composer puts its own in a project, so that examples run in the repository as they are.
require __DIR__ . '/../../../autoload.php';
