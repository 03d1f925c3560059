<?php
// SPDX-License-Identifier: MIT
// Deployer 7: in deploy.php, after the recipe: require 'holdfast.php';
namespace Deployer;

set('holdfast_release', '/usr/local/bin/holdfast-release');

desc('Starts php-fpm in the new release, behind the open sockets; fails if its canary does');
task('holdfast:release', function () {
    run('{{holdfast_release}} {{release_path}}');
});
before('deploy:symlink', 'holdfast:release');

desc('After "dep rollback" has moved the link: php-fpm follows');
task('holdfast:follow', function () {
    run('{{holdfast_release}} {{current_path}}');
});
after('rollback', 'holdfast:follow');
