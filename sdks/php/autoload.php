<?php

declare(strict_types=1);

// Loads classes where there is no Composer: require this file.
spl_autoload_register(static function (string $class): void {
    $path = __DIR__ . '/src/' . str_replace('\\', '/', substr($class, 11)) . '.php';
    if (str_starts_with($class, 'MassiveSMS\\') && is_file($path)) {
        require $path;
    }
});
